// A stage for a play: a folder and child processes, all of which are gone when it ends, however it ends.
import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TouchstoneError } from '../errors.ts';
import { removeTree } from '../files/durable.ts';
import { Actor, killGroup } from './actor.ts';
import { Guard } from './guard.ts';

/** How a command ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Signals that end a play, and the exit codes that shells give them. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Ending = keyof typeof EXIT_CODES;

/** A socket's path holds 107 bytes; the longest below a stage needs 50 of them. */
const LONGEST_DIR = 57;

/** Child processes lead groups of their own: a Ctrl-C reaches only this process, which then ends them in order and whole. */
function startChild(
  dir: string,
  command: string,
  args: readonly string[],
): ChildProcessByStdio<null, Readable, Readable> {
  // Daemons live in sbin, which is not in everybody's PATH; and what a killed child leaves in its temporary folder goes with the stage.
  const env = { ...process.env, TMPDIR: dir, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  return spawn(command, args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

export class Stage implements AsyncDisposable {
  readonly dir: string;
  readonly #actors: Actor[] = [];
  readonly #running = new Map<ChildProcess, Promise<unknown>>();
  readonly #closed = new AbortController();
  readonly #guard: Guard;
  #keep = false;

  private constructor(dir: string) {
    this.dir = dir;
    this.#guard = new Guard(dir);
    process.once('exit', this.#atExit);
  }

  /** A process that ends without closing its stage leaves nothing either: the guard does the rest, also for one that is killed. */
  readonly #atExit = (): void => {
    for (const child of this.#running.keys()) killGroup(child);
    for (const actor of this.actors) actor.kill();
  };

  /** A stage in a new folder under the system's folder for temporary files. */
  static async open(): Promise<Stage> {
    const usual = await realpath(tmpdir());
    const parent = Buffer.byteLength(usual) > LONGEST_DIR - 18 ? await realpath('/tmp') : usual;
    return new Stage(await mkdtemp(join(parent, 'touchstone-')));
  }

  /** Fires when the stage closes: what still plays on it must end. */
  get signal(): AbortSignal {
    return this.#closed.signal;
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
    this.signal.throwIfAborted();
    const child = startChild(this.dir, command, args);
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
    this.signal.throwIfAborted();
    const child = startChild(this.dir, command, args);
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
    this.#running.set(
      child,
      promise.catch(() => undefined),
    );
    try {
      return await promise;
    } finally {
      this.#running.delete(child);
    }
  }

  /**
   * Ctrl-C and its like close the stage and end the process, as shells expect: with 128 and the signal's number. Whoever presses it
   * twice waits all the same.
   */
  endOnSignals(): void {
    for (const signal of Object.keys(EXIT_CODES) as Ending[]) process.on(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.signal.aborted) return;
    void this[Symbol.asyncDispose]().finally(() => process.exit(EXIT_CODES[signal as Ending]));
  };

  /** Leaves processes and folder as they are when the stage closes. */
  async keep(): Promise<void> {
    this.#keep = true;
    this.#forget();
    await this.#guard.release();
    for (const actor of this.#actors) actor.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keep) return;
    this.#closed.abort();
    for (const child of this.#running.keys()) killGroup(child);
    await Promise.all(this.#running.values());
    // The last one started depends on those before it.
    for (const actor of this.#actors.toReversed()) await actor.end();
    const isRemoved = await removeTree(this.dir).then(
      () => true,
      () => false,
    );
    // Something that an actor left behind still writes there.
    await (isRemoved ? this.#guard.release() : this.#guard.sweep());
    this.#forget();
  }

  #forget(): void {
    process.off('exit', this.#atExit);
    for (const signal of Object.keys(EXIT_CODES)) process.off(signal, this.#onSignal);
  }
}
