// Keeps the fleet's export at hand: a file that any web server can give to builds, written anew whenever the fleet is another.
import { isAbsolute, join } from 'node:path';
import { toUtf8 } from '../bytes/text.ts';
import type { Clock } from '../clock.ts';
import { writeFileDurably } from '../files/durable.ts';
import type { Log } from '../log.ts';
import { fleetExport } from './fleet-export.ts';
import type { Registry } from './registry.ts';

/** A build that is a minute behind rehearses what it would have a minute ago; a fleet is not read through all the time. */
const LOOK_MS = 60_000;

export interface ExportFileParts {
  readonly stateDir: string;
  /** `fleetExport` of controller.json: absolute, or from the state directory. */
  readonly path: string;
  readonly registry: Pick<Registry, 'devices'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class ExportFile implements AsyncDisposable {
  readonly #parts: ExportFileParts;
  readonly #path: string;
  readonly #stop = new AbortController();
  #last: Promise<void> = Promise.resolve();
  #written = '';
  #fault = '';
  readonly #loop: Promise<void>;

  /** Begins at once. */
  constructor(parts: ExportFileParts) {
    this.#parts = parts;
    this.#path = isAbsolute(parts.path) ? parts.path : join(parts.stateDir, parts.path);
    this.#loop = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look();
      await this.#parts.clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  }

  /** Writes the file if the fleet is another than the one in it. A file that cannot be written is said, and ends nothing. */
  async look(): Promise<void> {
    this.#last = this.#after(this.#last);
    return this.#last;
  }

  async #after(before: Promise<void>): Promise<void> {
    await before;
    const { log, stateDir, registry, clock } = this.#parts;
    try {
      const { exportedAt, ...fleet } = await fleetExport(stateDir, await registry.devices(), clock.now());
      const content = JSON.stringify(fleet);
      if (content === this.#written) return;
      await writeFileDurably(this.#path, toUtf8(`${JSON.stringify({ ...fleet, exportedAt })}\n`), 0o644);
      this.#written = content;
      this.#fault = '';
    } catch (error) {
      const words = `the fleet's export ${this.#path} is not up to date: ${error instanceof Error ? error.message : String(error)}`;
      if (words !== this.#fault) log.write('warning', 'export', words);
      this.#fault = words;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.#last;
  }
}
