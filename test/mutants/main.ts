// `npm run test:mutants [-- NAME…]`: takes each named check away in turn; a test must go red. Prints who was killed and who survived.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECK_LISTS } from './lists.ts';
import type { CheckList } from './lists.ts';
import { MUTANT_VARIABLE, mutantText } from './mutate.ts';

const root = join(import.meta.dirname, '../..');
const vitest = join(root, 'node_modules/.bin/vitest');
const LIMIT_MS = 300_000;

interface Named {
  readonly name?: string;
  readonly rule?: string;
}

async function namesOf({ file, list }: CheckList): Promise<string[]> {
  const module = (await import(join(root, file))) as Record<string, unknown>;
  const checks = module[list];
  if (Array.isArray(checks)) return (checks as Named[]).map(({ name, rule }, at) => name ?? rule ?? `${at}`);
  if (typeof checks === 'object' && checks !== null) return Object.keys(checks);
  throw new TypeError(`${file} has no list ${list}`);
}

/** The first test that went red; null when all were green; the tests stop at the first. */
async function killer({ file, list, tests }: CheckList, position: number): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'mutant-'));
  const reportPath = join(folder, 'report.json');
  // One process for all files: what they load is loaded once, which is most of the time of such a run.
  const reporters = ['--reporter=json', `--outputFile.json=${reportPath}`];
  const args = [
    'run',
    '--config',
    'test/mutants/vitest.config.ts',
    '--bail=1',
    '--no-isolate',
    '--maxWorkers=1',
    ...reporters,
    ...tests,
  ];
  const env = { ...process.env, [MUTANT_VARIABLE]: mutantText({ file, list, position }) };
  const child = spawn(vitest, args, { cwd: root, env, stdio: 'ignore', timeout: LIMIT_MS });
  await once(child, 'close');
  const report = JSON.parse(await readFile(reportPath, 'utf8')) as {
    testResults: { name: string; status: string; assertionResults: { fullName: string; status: string }[] }[];
  };
  await rm(folder, { recursive: true, force: true });
  const results = report.testResults;
  const red = results.flatMap((one) => one.assertionResults).find(({ status }) => status === 'failed');
  // A file that cannot even be loaded has missed the check too, and says less.
  return red?.fullName ?? results.find(({ status }) => status === 'failed')?.name ?? null;
}

const only = process.argv.slice(2);
const survivors: string[] = [];
let killed = 0;
for (const list of CHECK_LISTS) {
  const names = await namesOf(list);
  const wanted = (name: string): boolean =>
    only.length === 0 || only.some((part) => `${list.list} ${name}`.includes(part));
  if (!names.some(wanted)) continue;
  // A test that is red anyway would kill every mutant.
  const red = await killer(list, names.length);
  if (red !== null) {
    survivors.push(list.list);
    process.stdout.write(`RED       ${list.list}, with nothing taken away: ${red}\n`);
    continue;
  }
  for (const [position, name] of names.entries()) {
    const title = `${list.list} ${name}`;
    if (!wanted(name)) continue;
    const by = await killer(list, position);
    if (by === null) survivors.push(title);
    else killed += 1;
    process.stdout.write(`${by === null ? 'SURVIVED' : 'killed  '}  ${title}${by === null ? '' : `: ${by}`}\n`);
  }
}
process.stdout.write(`${killed} killed, ${survivors.length} survived\n`);
process.exitCode = survivors.length === 0 && killed > 0 ? 0 : 1;
