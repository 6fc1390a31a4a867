// `npm run bench [-- --only NAME --quick --json]`: every figure beside its limit, both from the same run; exit 1 where a bar was missed.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { atRest } from './at-rest.ts';
import { appraisal } from './appraisal.ts';
import type { Bench } from './bench.ts';
import { evidence } from './evidence.ts';
import { hashing } from './hashing.ts';
import { install } from './install.ts';
import { reached } from './interleave.ts';
import type { Figure } from './interleave.ts';
import { machine } from './machine.ts';
import { throughput } from './throughput.ts';
import { table } from './print.ts';

const BENCHES: readonly Bench[] = [hashing, install, evidence, appraisal, throughput, atRest];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const unknown = values.only.filter((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown.length > 0) {
  const names = BENCHES.map(({ name }) => name).join(', ');
  process.stderr.write(`bench: there is no ${unknown.join(', ')}; there are ${names}\n`);
  process.exit(2);
}
const rounds = values.quick ? 5 : 9;
const root = await mkdtemp(join(tmpdir(), 'bench-'));
const figures: Figure[] = [];
try {
  for (const bench of BENCHES) {
    const { name } = bench;
    if (values.only.length > 0 && !values.only.includes(name)) continue;
    process.stderr.write(`bench: ${name} …\n`);
    const dir = join(root, name);
    await mkdir(dir);
    figures.push(...(await bench.run({ quick: values.quick, rounds, dir })));
    await rm(dir, { recursive: true, force: true });
  }
} finally {
  await rm(root, { recursive: true, force: true });
}
const missed = figures.filter((figure) => reached(figure) === false).length;
const repeat =
  `npm run bench${values.only.map((name) => ` --only ${name}`).join('')}${values.quick ? ' --quick' : ''}`.replace(
    / --/,
    ' -- --',
  );
if (values.json) {
  const rows = figures.map((figure) => ({ ...figure, reached: reached(figure) }));
  process.stdout.write(`${JSON.stringify({ machine: machine(), rounds, repeat, missed, figures: rows }, null, 2)}\n`);
} else {
  process.stdout.write(
    `${table(figures)}\n\n${machine()}\nmedian of ${rounds} rounds, ours and its limit in turn; again: ${repeat}\n`,
  );
  process.stdout.write(
    `${missed === 0 ? 'every bar reached' : `${missed} of ${figures.length} figures missed their bar`}\n`,
  );
}
process.exitCode = missed === 0 ? 0 : 1;
