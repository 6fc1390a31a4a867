// One long-running process on a stage: what it says, and its end.
import type { ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { TouchstoneError } from '../errors.ts';

/** Kills a child that was started as the leader of a process group, with everything that it started. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** A process of a stage that goes on running. */
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
    if (signal === 'SIGKILL') killGroup(this.#child);
    else this.#child.kill(signal);
    // One that stands still would not hear of it.
    this.resume();
    const timer = setTimeout(() => {
      killGroup(this.#child);
    }, 10_000);
    await this.#ended;
    clearTimeout(timer);
  }

  /** SIGSTOP: it stands still in whatever it does. */
  suspend(): void {
    this.#child.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Kills it with all that it started, without waiting. */
  kill(): void {
    killGroup(this.#child);
  }

  /** Lets it live on after the stage has ended. */
  release(): void {
    this.#child.unref();
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }
}
