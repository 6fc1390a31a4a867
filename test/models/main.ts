// `npm run test:models`: every model checked exhaustively by SPIN, a line for each property, with all rules and with one taken away.
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MODEL_CHECKS } from './checks.ts';
import type { ModelCheck } from './checks.ts';

const run = promisify(execFile);
const LIMIT_MS = 180_000;
const MEMORY_MB = 3000;
const DEPTH = 3_000_000;

type Outcome = 'holds' | 'breaks' | 'unfinished';

function macros({ property, without, bounds = {}, ends }: ModelCheck): string[] {
  const values = Object.entries({ PROP: property, ...bounds }).map(([name, value]) => `-D${name}=${value}`);
  return [...values, ...(without === null ? [] : [`-D${without}=0`]), ...(ends === true ? ['-DNP'] : [])];
}

/** Breadth first, so that a counterexample is a shortest one; cycles need depth first. */
async function check(one: ModelCheck, dir: string): Promise<{ outcome: Outcome; states: string }> {
  const options = { cwd: dir, timeout: LIMIT_MS, maxBuffer: 16 * 2 ** 20 };
  await copyFile(join(import.meta.dirname, `${one.model}.pml`), join(dir, 'model.pml'));
  await run('spin', ['-a', ...macros(one), 'model.pml'], options);
  const mode = one.ends === true ? ['-DNP'] : ['-DSAFETY', '-DBFS'];
  await run('gcc', ['-O1', '-w', ...mode, '-DCOLLAPSE', `-DMEMLIM=${MEMORY_MB}`, '-o', 'pan', 'pan.c'], options);
  const { stdout } = await run('./pan', ['-n', `-m${DEPTH}`, one.ends === true ? '-l' : '-E'], options);
  const errors = /errors: (\d+)/.exec(stdout)?.[1];
  const states = /([\d.e+]+) states, stored/.exec(stdout)?.[1] ?? '?';
  const whole = !/Search not completed|out of memory|max search depth too small/.test(stdout);
  if (errors === undefined || (errors === '0' && !whole)) return { outcome: 'unfinished', states };
  return { outcome: errors === '0' ? 'holds' : 'breaks', states };
}

/** True when the outcome is the expected one; says so. */
async function checkAndSay(one: ModelCheck): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), 'model-'));
  const expected: Outcome = one.without === null ? 'holds' : 'breaks';
  try {
    const { outcome, states } = await check(one, dir);
    const word = outcome === expected ? 'ok' : `EXPECTED ${expected}`;
    const without = one.without === null ? '' : `without ${one.without}: `;
    const columns = [word.padEnd(3), outcome.padEnd(7), `${one.model} ${one.property}`.padEnd(13), states.padStart(9)];
    process.stdout.write(`${columns.join('  ')}  ${without}${one.sentence}\n`);
    return outcome === expected;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 3).join(' ') : String(error);
    process.stdout.write(`FAILED  ${one.model} ${one.property}: ${one.sentence}: ${reason}\n`);
    return false;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const waiting = [...MODEL_CHECKS];
let bad = 0;
async function worker(): Promise<void> {
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    if (!(await checkAndSay(one))) bad += 1;
  }
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
process.stdout.write(`${MODEL_CHECKS.length - bad} properties as expected, ${bad} not\n`);
process.exitCode = bad === 0 ? 0 : 1;
