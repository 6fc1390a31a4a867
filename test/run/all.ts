// `npm test`: every check and every test, in order, all of them even when one fails. `npm test -- PATH…` runs only those tests.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Stage, summarise, summaryLines, type TestReport } from './summary.ts';
import { watch, WATCH_VARIABLE } from './watchdog.ts';

const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'node_modules', '.bin');

const folder = await mkdtemp(join(tmpdir(), 'touchstone-test-'));
const watched = join(folder, 'watched');
await mkdir(watched);

/** Far more than the slowest file needs on a slow machine. */
const FILE_LIMIT_MS = 300_000;
const LOOK_EVERY_MS = 2000;

/** SPIN and a C compiler come with it where they are missing. */
const MODELS = ['native/setup/setup.sh', '--with-models', 'node', 'test/models/main.ts'] as const;

interface StageOptions {
  /** The program to run: by default the project's own tool of the stage's name. */
  readonly program?: string;
  readonly started?: (child: ChildProcess) => void;
}

async function runStage(name: string, args: readonly string[], options: StageOptions = {}): Promise<Stage> {
  const { program = join(bin, name), started } = options;
  process.stdout.write(`\n── ${[name, ...args].join(' ')}\n`);
  const began = performance.now();
  // No stdin: nothing may ask a question.
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, [WATCH_VARIABLE]: watched },
  });
  started?.(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  return { name, seconds: (performance.now() - began) / 1000, ok: code === 0 };
}

/** Every test file, under the eyes of the watchdog. */
async function runTests(args: readonly string[]): Promise<{ stage: Stage; hung: string[] }> {
  const hung: string[] = [];
  let watchdog: { stop(): void } | undefined;
  const stage = await runStage('vitest', args, {
    started: ({ pid }) => {
      if (pid === undefined) return;
      const onEnded = (file: string): void => {
        hung.push(`ended after ${FILE_LIMIT_MS / 1000} s: ${file}`);
      };
      watchdog = watch({ folder: watched, root: pid, limitMs: FILE_LIMIT_MS, everyMs: LOOK_EVERY_MS, onEnded });
    },
  });
  watchdog?.stop();
  return { stage, hung };
}

async function readReport(path: string): Promise<TestReport | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as TestReport;
  } catch {
    return undefined;
  }
}

const only = process.argv.slice(2);
const reportPath = join(folder, 'report.json');
const stages: Stage[] = [];
if (only.length === 0) {
  stages.push(
    await runStage('prettier', ['--check', '--log-level', 'warn', '.']),
    await runStage('oxlint', ['--type-aware', '--deny-warnings']),
    await runStage('tsc', ['-p', '.']),
    await runStage('knip', []),
    await runStage('models', [...MODELS], { program: 'sh' }),
  );
}
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
const { stage, hung } = await runTests(['run', '--config', 'test/vitest.config.ts', ...reporters, ...only]);
stages.push(stage);
const summary = summarise(stages, await readReport(reportPath));
await rm(folder, { recursive: true, force: true });
process.stdout.write(`\n${[...hung, ...summaryLines(stages, summary)].join('\n')}\n`);
process.exitCode = summary.failed === 0 ? 0 : 1;
