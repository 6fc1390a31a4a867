// `touchstone agent`: options in, the agent's run, an exit code out.
import { Command, Option } from 'commander';
import { TouchstoneError } from '../errors.ts';

interface AgentOptions {
  readonly profile: string;
  readonly state: string;
  readonly fleet: string;
  readonly tcti?: string;
  readonly tokenFile?: string;
  readonly log: 'text' | 'json';
}

async function run(options: AgentOptions): Promise<void> {
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

/** `touchstone agent`. */
export function agentCommand(): Command {
  return new Command('agent')
    .description('measure this device, prove it to the controller, take signed upgrades')
    .addOption(new Option('--profile <file>', 'firmware profile').env('TOUCHSTONE_PROFILE').makeOptionMandatory())
    .addOption(new Option('--state <dir>', 'state directory').env('TOUCHSTONE_STATE').default('/var/lib/touchstone'))
    .addOption(
      new Option('--fleet <dir>', 'folder of fleet.json and root.json')
        .env('TOUCHSTONE_FLEET')
        .default('/etc/touchstone'),
    )
    .addOption(new Option('--tcti <conf>', "TCTI of the TPM; by default the profile's").env('TOUCHSTONE_TCTI'))
    .addOption(new Option('--token-file <file>', 'enrolment token').env('TOUCHSTONE_TOKEN_FILE'))
    .addOption(new Option('--log <format>', 'log lines on stderr').choices(['text', 'json']).default('text'))
    .action(run);
}
