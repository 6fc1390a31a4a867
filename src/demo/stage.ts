// The demo's stage: a folder and child processes, all of which are gone when it ends, however it ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TouchstoneError } from '../errors.ts';

/** How a command ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the demo that goes on running. */
export class Actor {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #ended: Promise<void>;
  #gone = false;

  constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name;
    this.#child = child;
    const log = createWriteStream(logFile, { flags: 'a' });
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log.write(text);
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        this.#lines.push(...lines);
        for (const listener of this.#listeners) listener();
      });
    }
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#gone = true;
        log.end();
        for (const listener of this.#listeners) listener();
        resolve();
      });
      child.once('error', (error) => {
        this.#lines.push(error.message);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return !this.#gone;
  }

  /** Everything it has printed so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Resolves with the first line from number `from` on that matches. Errors: CONTROL_UNAVAILABLE when it ends first or says nothing in time. */
  async says(pattern: RegExp, options: { from?: number; withinMs?: number } = {}): Promise<string> {
    const { from = 0, withinMs = 30_000 } = options;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (why: string): void => {
      const last = this.#lines.slice(-5).join('\n  ');
      reject(
        new TouchstoneError(
          'CONTROL_UNAVAILABLE',
          `${this.name} ${why} (waited for ${pattern.source}); it said last:\n  ${last}`,
        ),
      );
    };
    const look = (): void => {
      const line = this.#lines.slice(from).find((text) => pattern.test(text));
      if (line !== undefined) resolve(line);
      else if (this.#gone) fail('ended');
    };
    const timer = setTimeout(() => {
      fail('did not say so in time');
    }, withinMs);
    this.#listeners.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
    }
  }

  /** Sends the signal and waits for the end; what does not end within 10 s is killed. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#gone) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => {
      this.#child.kill('SIGKILL');
    }, 10_000);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Lets it live on after the demo has ended. */
  release(): void {
    this.#child.unref();
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }
}

export class Stage implements AsyncDisposable {
  readonly dir: string;
  readonly #actors: Actor[] = [];
  readonly #running = new Set<ChildProcess>();
  #keep = false;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** A stage in a new folder under the system's folder for temporary files. */
  static async open(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'touchstone-')));
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts);
  }

  /** Everything that still runs. */
  get actors(): readonly Actor[] {
    return this.#actors.filter((actor) => actor.running);
  }

  /** Starts a process that goes on running; what it prints is also in `<name>.log`. */
  start(name: string, command: string, args: readonly string[]): Actor {
    const child = spawn(command, args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    const actor = new Actor(name, child, this.path(`${name}.log`));
    this.#actors.push(actor);
    return actor;
  }

  /** Waits until there is something at `path`. Errors: CONTROL_UNAVAILABLE after 10 s. */
  async appears(path: string): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      const there = await stat(path).then(
        () => true,
        () => false,
      );
      if (there) return;
      await delay(50);
    }
    throw new TouchstoneError('CONTROL_UNAVAILABLE', `${path} did not appear within 10 s`);
  }

  /** Runs a command to its end. */
  async run(command: string, args: readonly string[]): Promise<Ran> {
    const child = spawn(command, args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#running.add(child);
    const { promise, resolve, reject } = Promise.withResolvers<Ran>();
    const [stdout, stderr]: [string[], string[]] = [[], []];
    child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
    child.once('error', (cause) => {
      reject(new TouchstoneError('CONFIG_MISSING', `cannot run ${command}: is it installed?`, { cause }));
    });
    child.once('close', (code) => {
      resolve({ code, stdout: stdout.join(''), stderr: stderr.join('') });
    });
    try {
      return await promise;
    } finally {
      this.#running.delete(child);
    }
  }

  /** Leaves processes and folder as they are when the stage closes. */
  keep(): void {
    this.#keep = true;
    for (const actor of this.#actors) actor.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keep) return;
    for (const child of this.#running) child.kill('SIGKILL');
    // The last one started depends on those before it.
    for (const actor of this.#actors.toReversed()) await actor.end();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}
