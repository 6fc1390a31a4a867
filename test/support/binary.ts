// Calls the binary, as a shell would or (much quicker) in this process, and gives temporary folders that are gone at the end.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Called {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** `touchstone ...args`, without the caller's own TOUCHSTONE_… variables and without a terminal. */
export async function touchstone(args: readonly string[], options: CallOptions = {}): Promise<Called> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TOUCHSTONE_'));
  const child = spawn(process.execPath, [MAIN, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(options.stdin ?? '');
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout, stderr };
}

/** The same with --json: the one document on stdout. Errors: SyntaxError when stdout is anything else. */
export async function touchstoneJson(
  args: readonly string[],
  options: CallOptions = {},
): Promise<Called & { readonly document: unknown }> {
  const called = await touchstone([...args, '--json'], options);
  return { ...called, document: JSON.parse(called.stdout) as unknown };
}

/** What `main.ts` does with these arguments, without a process of its own. One call at a time. */
export async function quickly(args: readonly string[]): Promise<Called> {
  let [stdout, stderr] = ['', ''];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((stderr += String(text)), true));
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    const code = Number(await runProgram(args));
    return { code, stdout, stderr };
  } finally {
    process.exitCode = before;
    out.mockRestore();
    err.mockRestore();
  }
}

/** The same with --json. */
export async function quicklyJson(args: readonly string[]): Promise<Called & { readonly document: unknown }> {
  const called = await quickly([...args, '--json']);
  return { ...called, document: JSON.parse(called.stdout) as unknown };
}

/** A temporary folder. */
export class Scratch implements AsyncDisposable {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'touchstone-cli-')));
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts);
  }

  /** Writes files by their path in the folder. */
  async write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(this.path(path)), { recursive: true });
      await writeFile(this.path(path), content);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}
