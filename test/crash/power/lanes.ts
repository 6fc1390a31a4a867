// Starts processes of the proof and listens to them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Tally } from './cuts.ts';
import { buildOpLog, OpLog, opLogEnvironment } from './op-log.ts';
import type { Measure, ScenarioName } from './scenarios.ts';

export interface Told {
  readonly name: ScenarioName;
  readonly tally: Tally;
  /** The scenario has ended. */
  readonly done: boolean;
}

const LANE = new URL('lane.ts', import.meta.url).pathname;

/** Memory where there is some: a sync then costs nothing, and the log knows better than the disk what one means. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/**
 * Plays scenarios in one process and says what it tells. What agent and controller wrote is kept in `keepLog`. Errors: TypeError when it
 * ended before the last of them had.
 */
export async function playLane(
  names: readonly ScenarioName[],
  measure: Measure,
  keepLog: string,
  told: (line: Told) => void,
): Promise<void> {
  const [library, output] = [buildOpLog(), openSync(keepLog, 'w')];
  const folder = await mkdtemp(join(FOLDER, 'crash-'));
  const control = join(folder, 'control');
  OpLog.prepare(control);
  const child = spawn(process.execPath, [LANE, JSON.stringify(names), JSON.stringify(measure)], {
    env: { ...process.env, ...opLogEnvironment(library, control), TMPDIR: folder },
    stdio: ['ignore', 'pipe', output],
  });
  const onExit = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', onExit);
  const gone = once(child, 'exit');
  let last: Told | null = null;
  if (child.stdout === null) throw new TypeError('no pipe');
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Told;
    told(last);
  }
  const [code] = (await gone) as [number | null];
  process.off('exit', onExit);
  closeSync(output);
  await rm(folder, { recursive: true, force: true });
  if (code !== 0 || last?.done !== true || last.name !== names.at(-1)) {
    throw new TypeError(`a process of the proof ended early (${code ?? 'killed'}); see ${keepLog}`);
  }
}
