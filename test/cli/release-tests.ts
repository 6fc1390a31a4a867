// A fleet and a model for the tests of releases, and short ways to make a release and have the fleet take it in.
import { cp, readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';

export interface Made {
  readonly release: string;
  readonly files: number;
  readonly bytes: number;
  readonly next: string;
  readonly passport: Record<string, unknown>;
}

export interface Added {
  readonly code: number | null;
  readonly release: string | null;
  readonly state: string;
  readonly folder: string;
  readonly findings: readonly { readonly rule: string }[];
}

/** All that `release make` must be told, but the key and where. */
export const OPTIONS: readonly string[] =
  '--model-id detector --release-version 2.1 --security-version 3 --slot-role detector --hardware-class cam-a cam-b'.split(
    ' ',
  );

/** A fleet made once for the file, and for each test a folder with `model/`, `slsa.json` and its own copy of `controller/`. */
export class ReleaseTests {
  #fleet: Scratch | null = null;
  #scratch: Scratch | null = null;

  get fleet(): Scratch {
    if (this.#fleet === null) throw new TypeError('only inside of a test');
    return this.#fleet;
  }

  get scratch(): Scratch {
    if (this.#scratch === null) throw new TypeError('only inside of a test');
    return this.#scratch;
  }

  get key(): string {
    return this.fleet.path('fleet/publisher/publisher.key.pem');
  }

  get state(): string {
    return this.scratch.path('controller');
  }

  path(...parts: readonly string[]): string {
    return this.scratch.path(...parts);
  }

  /** Registers the hooks; call once in a file. */
  register(): this {
    beforeAll(async () => {
      this.#fleet = await Scratch.make();
      const one = ['--root-keys', '1', '--threshold', '1'];
      await quickly([
        'fleet',
        'init',
        '--out',
        this.fleet.path('fleet'),
        '--model-id',
        'detector',
        '--model-id',
        'lung',
        ...one,
      ]);
    });
    afterAll(async () => this.fleet[Symbol.asyncDispose]());
    beforeEach(async () => {
      this.#scratch = await Scratch.make();
      await cp(this.fleet.path('fleet/controller'), this.state, { recursive: true });
      await this.scratch.write({
        'model/weights.bin': 'weights',
        'model/cards/card.md': '# card',
        'model/empty': '',
        'model/.gitignore': 'x',
        'model/model.sig': 'older',
        'slsa.json': '{}',
      });
    });
    afterEach(async () => this.scratch[Symbol.asyncDispose]());
    return this;
  }

  /** The arguments that make a release of the model in `out`, a path in the test's folder. */
  making(out: string, ...more: string[]): string[] {
    return ['release', 'make', this.path('model'), '--key', this.key, ...OPTIONS, '--out', this.path(out), ...more];
  }

  async make(out: string, ...more: string[]): Promise<Made> {
    const called = await quicklyJson(this.making(out, ...more));
    if (called.code !== 0) throw new Error(called.stderr);
    return called.document as Made;
  }

  async add(folder: string, ...more: string[]): Promise<Added> {
    const called = await quicklyJson(['release', 'add', this.path(folder), '--state', this.state, ...more]);
    return { ...(called.document as Added), code: called.code };
  }

  /** What the fleet has taken in. */
  async taken(): Promise<string[]> {
    return readdir(this.path('controller/releases'));
  }

  /** What lies in the test's folder. */
  async lies(): Promise<string[]> {
    return (await readdir(this.scratch.dir)).toSorted();
  }
}
