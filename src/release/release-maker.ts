// Makes a release as its publisher: a model with its signature and passport, whole or not there.
import type { KeyObject } from 'node:crypto';
import { resolve, sep } from 'node:path';
import { toHex, toUtf8 } from '../bytes/text.ts';
import { signDsse } from '../crypto/dsse.ts';
import { publicPem } from '../crypto/ecdsa.ts';
import { ReleaseError } from '../errors.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { manifestDigest } from './manifest.ts';
import { DEFAULT_IGNORES, ignoring, listModel } from './model-files.ts';
import type { ModelFiles } from './model-files.ts';
import { IN_TOTO_TYPE } from './oms-statement.ts';
import type { OmsStatement } from './oms-statement.ts';
import { makeStatement, signStatement } from './oms-sign.ts';
import { openRelease } from './open.ts';
import type { SignedRelease } from './open.ts';
import { encodePassport } from './passport.ts';
import { makeReleaseFolder } from './publisher-copy.ts';
import type { CopyOptions, SignedFiles } from './publisher-copy.ts';
import { SIGNATURE_FILE } from './release-folder.ts';
import { rootKeyOf } from './root-keys.ts';
import type { ManifestEntry, Passport } from './types.ts';

/** What the publisher says of a release; the digests come from its bytes. */
export type PassportWords = Omit<Passport, 'v' | 'crit' | 'statementDigest' | 'manifestDigest'>;

export interface ReleasePlan extends CopyOptions {
  /** A folder, or one file. */
  readonly model: string;
  /** The release folder to make; must not be there. */
  readonly out: string;
  readonly key: KeyObject;
  readonly words: PassportWords;
  readonly pool: HashPool;
}

export interface MadeRelease {
  readonly release: SignedRelease;
  readonly entries: readonly ManifestEntry[];
}

export interface Sealed extends SignedFiles {
  readonly release: SignedRelease;
  readonly entries: readonly ManifestEntry[];
}

/** What a publisher may not be surprised by: a release inside of its own model would grow with each making. */
function assertApart(model: string, out: string): void {
  if (`${resolve(out)}${sep}`.startsWith(`${resolve(model)}${sep}`)) {
    throw new ReleaseError('RELEASE_INVALID', `${out} lies inside of the model ${model}: choose a folder elsewhere`);
  }
}

function assertInside(model: ModelFiles, words: PassportWords): void {
  const paths = new Set(model.files.map((file) => file.path));
  for (const [what, path] of [
    ['model card', words.modelCard],
    ['health check', words.healthCheck],
  ] as const) {
    if (path !== null && path !== undefined && !paths.has(path)) {
      throw new ReleaseError('RELEASE_INVALID', `the ${what} ${path} is not a file of the model ${model.folder}`);
    }
  }
}

/** The two signed files, read back as every device will: what we could not open we do not ship. */
export function sealRelease(
  statement: OmsStatement,
  words: PassportWords,
  entries: readonly ManifestEntry[],
  key: KeyObject,
): Sealed {
  const payload = encodePassport({
    v: 1,
    ...words,
    statementDigest: toHex(statement.digest),
    manifestDigest: toHex(manifestDigest(entries)),
  });
  const signature = signStatement(statement, key);
  const passport = toUtf8(`${JSON.stringify(signDsse(IN_TOTO_TYPE, payload, [key]))}\n`);
  const publishers = [{ ...rootKeyOf(key, publicPem(key)), modelIds: [words.modelId] }];
  const opened = openRelease({ sig: signature, passport, publishers, revoked: [], releaseThresholds: undefined });
  if (!opened.ok) throw new TypeError(`made a release that does not open: ${JSON.stringify(opened.findings)}`);
  return { signature, passport, release: opened.release, entries };
}

/** The files that go into a release: all but those of version control and an earlier signature, at the top level. */
export async function listReleaseModel(model: string, signal?: AbortSignal): Promise<ModelFiles> {
  return listModel(model, ignoring([...DEFAULT_IGNORES, SIGNATURE_FILE]), signal);
}

/**
 * Makes OUT/{model/, model.sig, passport.json} from a listed model; it is there as a whole or not at all.
 * Errors: ReleaseError RELEASE_INVALID, DISK_FULL; WireError for words outside of the passport's shape; MeasureError; the signal's reason.
 */
export async function makeRelease(model: ModelFiles, plan: ReleasePlan): Promise<MadeRelease> {
  const { out, key, words, pool, onProgress, signal } = plan;
  if (!model.single) assertApart(plan.model, out);
  assertInside(model, words);
  const [fault] = model.faults;
  if (fault !== undefined) {
    throw new ReleaseError('RELEASE_INVALID', `${fault.path}: ${fault.kind}; a release holds regular files only`);
  }
  const sealed = await makeReleaseFolder(out, model, plan, async (folder) => {
    const copied = await listModel(folder, () => false, signal);
    const { statement, entries } = await makeStatement(
      { ...copied, name: model.name },
      {
        method: 'files',
        ignored: [],
        pool,
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      },
    );
    return sealRelease(statement, words, entries, key);
  });
  return { release: sealed.release, entries: sealed.entries };
}
