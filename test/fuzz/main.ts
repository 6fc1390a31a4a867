// `npm run fuzz -- [--minutes N] [--jobs N] [--json] [TARGET…]`: coverage-guided fuzzing of each reader; exit 1 on a crash, a hang or growing memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { sha256 } from '../../src/crypto/digest.ts';
import { bundleTargets } from './bundle.ts';
import { TARGET_VARIABLE } from './entry.ts';
import { seedsOf } from './seeds.ts';
import { TARGETS } from './targets.ts';

const root = join(import.meta.dirname, '../..');
const cache = join(root, 'node_modules/.cache/fuzz');
/** One input may take this long. The slowest reader takes milliseconds. */
const HANG_SECONDS = 10;
/** Resident, all in all: the instrumented readers stay far below, unless they keep what they read. */
const MEMORY_MB = 1024;
const MAX_INPUT = 16_384;

interface Outcome {
  readonly target: string;
  readonly executions: number;
  /** Edges of the code reached. */
  readonly coverage: number;
  readonly corpus: number;
  readonly residentMb: number;
  readonly seconds: number;
  /** What the fuzzer said of an input that broke the reader; empty when none did. */
  readonly finding: readonly string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const [minutes, jobs] = [Number(values.minutes), Number(values.jobs)];
const unknown = names.filter((name) => TARGETS[name] === undefined);
if (values.help || unknown.length > 0 || !(minutes > 0) || !Number.isInteger(jobs) || jobs < 1) {
  const wrong = unknown.length > 0 ? `there is no target ${unknown.join(', ')}\n` : '';
  process.stderr.write(
    `${wrong}npm run fuzz -- [--minutes N, for each target] [--jobs N, at once] [--json] [TARGET…]\n` +
      `targets: ${Object.keys(TARGETS).join(' ')}\n`,
  );
  process.exit(values.help ? 0 : 2);
}

/** The fuzzer's command line. Where the system's C library is too old, its loader is told to take the one that was fetched. */
function commandLine(args: readonly string[]): readonly string[] {
  const node = [process.execPath, join(cache, 'modules/node_modules/@jazzer.js/core/dist/cli.js'), ...args];
  const libc = join(cache, 'libc');
  if (!existsSync(libc)) return node;
  const [loader] = globSync('ld-linux-*.so.*', { cwd: libc });
  if (loader === undefined) throw new Error(`no loader in ${libc}; remove that folder and try again`);
  return [join(libc, loader), '--library-path', libc, ...node];
}

/** Two folders: what every run begins with, and what the fuzzer finds worth keeping. */
async function corpusOf(target: string): Promise<readonly [string, string]> {
  const [found, seeds] = [join(cache, 'corpus', target), join(cache, 'seeds', target)];
  await mkdir(found, { recursive: true });
  await mkdir(seeds, { recursive: true });
  for (const seed of await seedsOf(target)) await writeFile(join(seeds, sha256(seed).toString('hex')), seed);
  return [found, seeds];
}

async function fuzz(target: string, bundle: string): Promise<Outcome> {
  const findings = join(cache, 'findings', `${target}-`);
  await mkdir(dirname(findings), { recursive: true });
  const [program = '', ...args] = commandLine([
    bundle,
    ...(await corpusOf(target)),
    '--includes=bundle.cjs',
    '--excludes=nothing-is-left-out',
    `--timeout=${HANG_SECONDS * 1000}`,
    '--',
    `-max_total_time=${Math.ceil(minutes * 60)}`,
    `-rss_limit_mb=${MEMORY_MB}`,
    `-max_len=${MAX_INPUT}`,
    `-artifact_prefix=${findings}`,
    '-print_final_stats=1',
  ]);
  const began = performance.now();
  const env = { ...process.env, [TARGET_VARIABLE]: target };
  const child = spawn(program, args, { cwd: dirname(bundle), env, stdio: ['ignore', 'ignore', 'pipe'] });
  const closed = once(child, 'close');
  let [coverage, corpus, executions, residentMb] = [0, 0, 0, 0];
  const rest: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    const seen = /^#(\d+)\s.* cov: (\d+) .*corp: (\d+)\/.* rss: (\d+)Mb/.exec(line);
    const total = /^stat::(number_of_executed_units|peak_rss_mb):\s+(\d+)/.exec(line);
    if (seen !== null) {
      executions = Math.max(executions, Number(seen[1]));
      [coverage, corpus, residentMb] = [Number(seen[2]), Number(seen[3]), Math.max(residentMb, Number(seen[4]))];
    } else if (total?.[1] === 'number_of_executed_units') executions = Number(total[2]);
    else if (total !== null) residentMb = Number(total[2]);
    else if (/^(INFO|#|stat::|Done |Dictionary|\t|\[BABEL\])/.exec(line) === null && line !== '')
      rest.push(line.slice(0, 300));
  }
  const [code] = (await closed) as [number | null];
  const seconds = Math.round((performance.now() - began) / 1000);
  // Never nothing at all: a fuzzer that ended early, or ran nothing, has proved nothing.
  const ran = code === 0 && executions > 0;
  const finding = ran ? [] : rest.length > 0 ? rest.slice(-12) : [`the fuzzer ended with ${code} after ${executions}`];
  return { target, executions, coverage, corpus, residentMb, seconds, finding };
}

const bundle = await bundleTargets(join(cache, 'bundle'));
const waiting = [...names];
const outcomes: Outcome[] = [];
const say = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);
say(
  `${'target'.padEnd(16)}${'executions'.padStart(12)}${'edges'.padStart(8)}${'corpus'.padStart(8)}${'MiB'.padStart(6)}${'s'.padStart(6)}`,
);
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const one = await fuzz(target, bundle);
      outcomes.push(one);
      const { executions, coverage, corpus, residentMb, seconds, finding } = one;
      const figures = [
        [executions, 12],
        [coverage, 8],
        [corpus, 8],
        [residentMb, 6],
        [seconds, 6],
      ] as const;
      say(target.padEnd(16) + figures.map(([value, width]) => String(value).padStart(width)).join(''));
      for (const line of finding) say(`  ${line}`);
    }
  }),
);
const bad = outcomes.filter(({ finding }) => finding.length > 0);
say(
  `${outcomes.length} targets, ${bad.length} with a finding${bad.length > 0 ? `; the inputs are in ${join(cache, 'findings')}` : ''}`,
);
if (values.json) process.stdout.write(`${JSON.stringify({ minutes, outcomes }, null, 2)}\n`);
process.exitCode = bad.length === 0 ? 0 : 1;
