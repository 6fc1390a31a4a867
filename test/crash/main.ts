// `npm run test:crash`: the power-cut proof in its whole form, two processes at once, and a table of what was cut and what did not hold.
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { emptyTally } from './power/cuts.ts';
import type { Tally } from './power/cuts.ts';
import { playLane } from './power/lanes.ts';
import { SCENARIO_NAMES, WHOLE } from './power/scenarios.ts';
import type { Measure, ScenarioName } from './power/scenarios.ts';

const HELP = `npm run test:crash [-- --every N --from M --only WORDS]

Writes down every change of a disk and every TPM command of whole upgrades, cuts the power at each, and starts again.
  --every N     one of N cut points; by default each
  --from M      the first of them, below N; by default 0
  --only WORDS  scenarios whose name contains WORDS
`;

const { values } = parseArgs({
  options: {
    every: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [every, from] = [Number(values.every), Number(values.from)];
const waiting = SCENARIO_NAMES.filter((name) => name.includes(values.only));
if (!Number.isInteger(every) || !Number.isInteger(from) || from < 0 || from >= every || waiting.length === 0) {
  process.stderr.write(HELP);
  process.exit(2);
}
const measure: Measure = {
  every,
  from,
  restarts: Math.ceil(WHOLE.restarts / every),
  truncations: Math.ceil(WHOLE.truncations / every),
  recoveries: Math.ceil(WHOLE.recoveries / every),
};
const logs = join(tmpdir(), 'touchstone-crash');
await mkdir(logs, { recursive: true });

const tallies = new Map<ScenarioName, Tally>();
const broken: string[] = [];
const began = performance.now();
const minutes = (): string => ((performance.now() - began) / 60_000).toFixed(1);

function hear(name: ScenarioName, tally: Tally, done: boolean): void {
  const before = tallies.get(name) ?? emptyTally();
  for (const fault of tally.violations.slice(before.violations.length))
    process.stdout.write(`VIOLATED ${name}: ${fault}\n`);
  tallies.set(name, tally);
  if (done || Math.floor(tally.restarts / 50) > Math.floor(before.restarts / 50)) {
    const words = `${tally.points} points, ${tally.restarts} restarts, ${tally.violations.length} violations`;
    process.stdout.write(`${minutes()} min  ${name}: ${words}${done ? ', done' : ''}\n`);
  }
}

/** One process after the other, as long as there is something to play. */
async function play(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const log = join(logs, `${name.replaceAll(' ', '-')}.log`);
    try {
      await playLane([name], measure, log, (line) => {
        hear(line.name, line.tally, line.done);
      });
    } catch (error) {
      broken.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
await Promise.all([play(), play()]);

const columns = ['operations', 'points', 'variants', 'restarts'] as const;
const rows = [...tallies].map(([name, tally]) => [
  name,
  ...columns.map((column) => String(tally[column])),
  String(tally.violations.length),
]);
const widths = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0), 10);
const line = (cells: readonly string[]): string =>
  cells.map((cell, at) => (at === 0 ? cell.padEnd(widths(0)) : cell.padStart(widths(at)))).join('  ');
process.stdout.write(`\n${[['scenario', ...columns, 'violations'], ...rows].map(line).join('\n')}\n`);
for (const words of broken) process.stdout.write(`NOT PLAYED ${words}\n`);
const violations = [...tallies.values()].reduce((sum, tally) => sum + tally.violations.length, 0);
process.stdout.write(`\n${violations} violations in ${minutes()} min; what agents and controllers said: ${logs}\n`);
process.exitCode = violations === 0 && broken.length === 0 ? 0 : 1;
