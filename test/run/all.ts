// `npm test`: every check and every test, in order, all of them even when one fails. `npm test -- PATH…` runs only those tests.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Stage, summarise, summaryLines, type TestReport } from './summary.ts';

const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'node_modules', '.bin');

async function runStage(name: string, args: readonly string[]): Promise<Stage> {
  process.stdout.write(`\n── ${[name, ...args].join(' ')}\n`);
  const started = performance.now();
  // No stdin: nothing may ask a question.
  const child = spawn(join(bin, name), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  return { name, seconds: (performance.now() - started) / 1000, ok: code === 0 };
}

async function readReport(path: string): Promise<TestReport | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as TestReport;
  } catch {
    return undefined;
  }
}

const only = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'touchstone-test-'));
const reportPath = join(folder, 'report.json');
const stages: Stage[] = [];
if (only.length === 0) {
  stages.push(
    await runStage('prettier', ['--check', '--log-level', 'warn', '.']),
    await runStage('oxlint', ['--type-aware', '--deny-warnings']),
    await runStage('tsc', ['-p', '.']),
    await runStage('knip', []),
  );
}
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
stages.push(await runStage('vitest', ['run', '--config', 'test/vitest.config.ts', ...reporters, ...only]));
const summary = summarise(stages, await readReport(reportPath));
await rm(folder, { recursive: true, force: true });
process.stdout.write(`\n${summaryLines(stages, summary).join('\n')}\n`);
process.exitCode = summary.failed === 0 ? 0 : 1;
