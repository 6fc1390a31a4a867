// The power-cut proof in its short form: some moments of two upgrades, and the proof on itself. `npm run test:crash` takes every one.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Tally } from './power/cuts.ts';
import { playLane } from './power/lanes.ts';
import type { ScenarioName } from './power/scenarios.ts';

const PARTS: readonly ScenarioName[] = [
  'an upgrade over the web that commits',
  'an upgrade from a folder that is rolled back',
  'the same without any sync, which must be seen',
];
/** Few enough for every run of the tests: a moment in the midst of each trial. */
const SHORT = { every: 400, from: 300, restarts: 1, truncations: 1, recoveries: 1 };

test(
  'an upgrade cut anywhere leaves one loadable signed model, a log that explains the PCRs, and every report',
  { timeout: 290_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'power-cut-'));
    const log = join(folder, 'log');
    const tallies = new Map<string, Tally>();
    try {
      await playLane(PARTS, SHORT, log, ({ name, tally }) => tallies.set(name, tally)).catch((cause: unknown) => {
        throw new Error(readFileSync(log, 'utf8').slice(-4000), { cause });
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    expect([...tallies].flatMap(([name, { violations }]) => violations.map((fault) => `${name}: ${fault}`))).toEqual(
      [],
    );
    // Each part had something to cut: a part that tries nothing shows nothing.
    for (const name of PARTS) expect([name, tallies.get(name)?.points]).not.toEqual([name, 0]);
    expect(tallies.size).toBe(PARTS.length);
  },
);
