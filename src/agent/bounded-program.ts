// Runs a program of the device's owner without trusting it: no shell, no environment of ours, an end, and little to say.
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { closeOnExec } from '../../native/close-on-exec.ts';
import type { RunAs } from '../profile/profile.ts';

/** What is kept of each stream; the rest is read and thrown away. */
const MAX_OUTPUT = 256 * 1024;
/** What is given to whoever reads why it failed. */
const MAX_WORDS = 300;

export interface ProgramOptions {
  /** An absolute path and its arguments; no shell sees them. */
  readonly argv: readonly string[];
  /** Added to the small environment that it gets. */
  readonly env: Readonly<Record<string, string>>;
  /** Null: as the agent. */
  readonly runAs: RunAs | null;
  /** It and everything it started in its process group is killed then, ms. */
  readonly timeoutMs: number;
  /** Nobody hears what it says, however much that is; otherwise too much of it ends it. */
  readonly unheard?: boolean;
  /** Runs `work` while no library opens anything: what it would open just then could not be kept from the program. */
  alone<T>(work: () => T): Promise<T>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** The last words of stderr, for people. */
  readonly words: string;
}

/** For people. */
export function endWords({ code, signal, timedOut, words }: Ended): string {
  const how = timedOut ? 'was killed: out of time' : signal === null ? `exit code ${code ?? '-'}` : `signal ${signal}`;
  return words === '' ? how : `${how}: ${words}`;
}

/** One line that was read, or null at the end of the output. */
type Line = string | null;

export class BoundedProgram implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #folder: string;
  readonly #timer: NodeJS.Timeout;
  readonly #ended: Promise<Ended>;
  #timedOut = false;
  #stderr = '';
  #rest = '';
  #read = 0;
  readonly #lines: string[] = [];
  #wake: (() => void) | null = null;
  #closed = false;

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    folder: string,
    { timeoutMs, unheard = false }: ProgramOptions,
  ) {
    this.#child = child;
    this.#folder = folder;
    child.stdin.on('error', () => undefined);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (!unheard) this.#take(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_OUTPUT);
    });
    this.#ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#closed = true;
        this.#wake?.();
        resolve({ code, signal, timedOut: this.#timedOut, words: this.#words() });
      };
      child.once('error', (error) => {
        this.#stderr += error.message;
        end(null, null);
      });
      child.once('close', end);
    });
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#kill();
    }, timeoutMs);
  }

  /** Starts it in a folder of its own, which is gone afterwards. What cannot be started ends at once. */
  static async start(options: ProgramOptions): Promise<BoundedProgram> {
    const { argv, env, runAs } = options;
    const [command, ...args] = argv;
    if (command === undefined) throw new RangeError('a program has a name');
    const folder = await mkdtemp(join(tmpdir(), 'touchstone-health-'));
    if (runAs !== null) await chown(folder, runAs.uid, runAs.gid);
    return options.alone(() => {
      closeOnExec();
      const child = spawn(command, args, {
        cwd: folder,
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8', HOME: folder, TMPDIR: folder, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
        // A group of its own: what it starts ends with it.
        detached: true,
        ...(runAs === null ? {} : { uid: runAs.uid, gid: runAs.gid }),
      });
      return new BoundedProgram(child, folder, options);
    });
  }

  #take(text: string): void {
    this.#read += text.length;
    if (this.#read > MAX_OUTPUT) {
      // More than any answer has: it is not waited for, and its pipe must not fill.
      this.#kill();
      return;
    }
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    this.#lines.push(...lines);
    this.#wake?.();
  }

  #words(): string {
    return this.#stderr.trim().split('\n').slice(-3).join(' ').slice(-MAX_WORDS);
  }

  #kill(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }

  /** Writes one line to it. */
  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Its next line; null when it says no more. */
  async hear(): Promise<Line> {
    while (this.#lines.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift() ?? null;
  }

  /** Most memory that was resident in its own process so far, KiB; null when it has ended. */
  async peakKiB(): Promise<number | null> {
    const status = await readFile(`/proc/${this.#child.pid ?? 0}/status`, 'utf8').catch(() => '');
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(status);
    return match === null ? null : Number(match[1]);
  }

  /** Closes its input and waits for its end. */
  async end(): Promise<Ended> {
    this.#child.stdin.end();
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    // Also after its own end: what it left running in its group must not live on.
    this.#kill();
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit');
    }
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
