// What every daemon that runs as a child needs: to be ended whatever state it is in.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Sends the signal to a child that still runs, and waits for its end. */
export async function endChild(child: ChildProcess | null, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  // A stopped process takes only SIGKILL at once; others get their signal when they go on.
  if (signal === 'SIGTERM') child.kill('SIGCONT');
  await gone;
}
