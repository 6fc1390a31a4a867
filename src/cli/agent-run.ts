// Runs the agent until a signal ends it.
import { TouchstoneError } from '../errors.ts';
import type { AgentOptions } from './agent-options.ts';

/** Errors: TouchstoneError of whatever can't be gone on with. */
export async function runUntilSignal(options: AgentOptions): Promise<void> {
  // Loaded only here: help and completion need none of it.
  const { runAgent } = await import('./agent-wiring.ts');
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  try {
    await runAgent({ ...options, signal: stop.signal });
  } catch (error) {
    // An answer that never came: the call into the library hangs and would keep even process.exit() from returning.
    if (error instanceof TouchstoneError && error.code === 'TPM_TIMEOUT') {
      process.stderr.write(`touchstone: ${error.message}; ending this process to be sure of the TPM's state\n`);
      process.kill(process.pid, 'SIGKILL');
    }
    throw error;
  }
}
