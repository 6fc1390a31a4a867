// A signed release for tests, from a folder or from a few files.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { HashPool } from '../files/hash-pool.ts';
import { listReleaseModel, makeRelease } from '../release/release-maker.ts';
import type { PassportWords } from '../release/release-maker.ts';

/** Path in the model → content. */
export type ModelContent = Readonly<Record<string, string | Uint8Array>>;

export interface ReleaseOptions {
  /** The model: a folder, or files; by default one small file that says its version. */
  readonly model?: string | ModelContent;
  readonly version?: string;
  readonly securityVersion?: number;
  /** Whatever else the passport says. */
  readonly passport?: Partial<PassportWords>;
  /** Another signer than the fleet's publisher. */
  readonly key?: KeyObject;
}

export interface TestRelease {
  readonly id: string;
  /** RELEASE/{model/, model.sig, passport.json}. */
  readonly folder: string;
}

export interface ReleasePlace {
  /** A new folder. */
  readonly dir: string;
  readonly key: KeyObject;
  readonly modelId: string;
  readonly slotRole: string;
  readonly hardwareClass: string;
}

/** Writes DIR/model and DIR/release. Errors: those of `makeRelease`. */
export async function makeTestRelease(place: ReleasePlace, options: ReleaseOptions): Promise<TestRelease> {
  const { version = '1.0.0', securityVersion = 1, model = { 'model.bin': `model ${version}` } } = options;
  const source = typeof model === 'string' ? model : join(place.dir, 'model');
  if (typeof model !== 'string') {
    for (const [path, content] of Object.entries(model)) {
      await mkdir(dirname(join(source, path)), { recursive: true });
      await writeFile(join(source, path), content);
    }
  }
  await using pool = new HashPool();
  const folder = join(place.dir, 'release');
  const words: PassportWords = {
    modelId: place.modelId,
    version,
    securityVersion,
    slotRole: place.slotRole,
    hardwareClass: [place.hardwareClass],
    minimumAgent: '0.0.0',
    notBefore: null,
    notAfter: null,
    predecessor: null,
    withdraws: [],
    intendedUse: null,
    modelCard: null,
    ...options.passport,
  };
  const plan = { model: source, out: folder, key: options.key ?? place.key, words, pool, link: false };
  const made = await makeRelease(await listReleaseModel(source), plan);
  return { id: made.release.id, folder };
}
