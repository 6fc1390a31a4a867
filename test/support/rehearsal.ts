// `touchstone rehearse` as a build server runs it: a process, its exit code, its JSON and its JUnit report.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { RehearsalReport } from '../../src/rehearse/report.ts';

export const BINARY: string = new URL('../../src/cli/main.ts', import.meta.url).pathname;

export interface Rehearsed {
  readonly code: number | null;
  /** The first of `reports`. */
  readonly report: RehearsalReport;
  readonly reports: readonly RehearsalReport[];
  readonly xml: string;
  readonly messages: string;
}

export interface RehearsalPlaces {
  /** Where it plays. */
  readonly tmp: string;
  /** The file that it writes. */
  readonly junit: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Errors: what it said, when it played nothing. */
export async function rehearsed(args: readonly string[], { tmp, junit, env }: RehearsalPlaces): Promise<Rehearsed> {
  const child = spawn(process.execPath, [BINARY, 'rehearse', '--json', '--junit', junit, ...args], {
    env: { ...process.env, ...env, TMPDIR: tmp },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, messages]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => messages.push(text));
  const [code] = (await once(child, 'close')) as [number | null];
  const { rehearsals: reports = [] } = JSON.parse(out.join('')) as { rehearsals?: readonly RehearsalReport[] };
  const [report] = reports;
  if (report === undefined) throw new Error(`nothing was played: ${messages.join('')}`);
  return { code, report, reports, xml: await readFile(junit, 'utf8'), messages: messages.join('') };
}

/** Command lines of processes that name a folder in `tmp` in which a rehearsal plays. */
export function playingIn(tmp: string): string[] {
  const listed = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout.split('\n');
  return listed.filter((line) => line.includes(`${tmp}/touchstone-`));
}
