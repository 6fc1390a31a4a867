// Ctrl-C in the middle of a long command: what was begun is cleaned up, then the process dies of the signal as shells expect.

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** Runs `work` with a signal that fires on SIGINT or SIGTERM; its clean-up still runs, and then nothing more is said. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let got: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    got = signal;
    abort.abort();
  };
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    return await work(abort.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    if (got !== null) process.kill(process.pid, got);
  }
}
