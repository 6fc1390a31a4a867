// Withdraws releases as their publisher does it: the same good model again, under a passport that says which ones must go.
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { parseDsse, verifyDsse } from '../crypto/dsse.ts';
import { keyId, publicPem } from '../crypto/ecdsa.ts';
import { ReleaseError } from '../errors.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { Finding } from '../rules/finding.ts';
import { orFault } from './judgement.ts';
import { listModel } from './model-files.ts';
import { IN_TOTO_TYPE } from './oms-statement.ts';
import { openRelease, PASSPORT_FILE_BYTES } from './open.ts';
import type { OpenedRelease, SignedRelease } from './open.ts';
import { readPassport } from './passport.ts';
import { makeReleaseFolder } from './publisher-copy.ts';
import type { CopyOptions } from './publisher-copy.ts';
import { MODEL_FOLDER, readSignedFiles } from './release-folder.ts';
import { sealRelease } from './release-maker.ts';
import type { MadeRelease, PassportWords } from './release-maker.ts';
import { rootKeyOf } from './root-keys.ts';
import { verifyModelFolder } from './verified.ts';

export interface WithdrawalPlan extends CopyOptions {
  /** Folder of the release that takes the place of the withdrawn ones, signed with `key`. */
  readonly replacement: string;
  readonly out: string;
  readonly key: KeyObject;
  readonly pool: HashPool;
  /** What the new passport says, from what the old one says. */
  readonly words: (old: SignedRelease) => PassportWords;
}

/** The model id of a passport that `key` signed; empty where it did not. */
function modelIdSignedBy(key: KeyObject, bytes: Uint8Array | null): string {
  const read = orFault('release-malformed', 'passport', () =>
    bytes === null
      ? null
      : verifyDsse(parseDsse(bytes, PASSPORT_FILE_BYTES), IN_TOTO_TYPE, new Map([[keyId(key), key]])),
  );
  if ('fault' in read || read.value === null) return '';
  const passport = readPassport(read.value.payload);
  return 'passport' in passport ? passport.passport.modelId : '';
}

/** Opens a release by one private or public key alone: for its publisher, who has no fleet root at hand. Errors: ReleaseError. */
export async function openOwnRelease(folder: string, key: KeyObject): Promise<OpenedRelease> {
  const signed = await readSignedFiles(folder);
  const own = rootKeyOf(key, publicPem(key));
  const modelIds = [modelIdSignedBy(key, signed.passport)];
  return openRelease({ ...signed, publishers: [{ ...own, modelIds }], revoked: [], releaseThresholds: undefined });
}

/** Every byte of the replacement is verified before anything is signed. Errors: as `makeRelease`. */
export async function makeWithdrawal(
  plan: WithdrawalPlan,
): Promise<{ ok: true; made: MadeRelease } | { ok: false; findings: readonly Finding[] }> {
  const { replacement, out, key, pool, onProgress, signal } = plan;
  const opened = await openOwnRelease(replacement, key);
  if (!opened.ok) return opened;
  const folder = join(replacement, MODEL_FOLDER);
  const some = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  const verified = await verifyModelFolder(folder, opened.release, pool, some);
  if (!verified.ok) return verified;
  const model = await listModel(folder, () => false, signal);
  const sealed = await makeReleaseFolder(out, model, plan, async (copied) => {
    const copy = await verifyModelFolder(copied, opened.release, pool, some);
    if (!copy.ok) throw new ReleaseError('RELEASE_INVALID', `${replacement} changed while it was copied`);
    return sealRelease(opened.release.statement, plan.words(opened.release), copy.release.entries, key);
  });
  return { ok: true, made: { release: sealed.release, entries: sealed.entries } };
}
