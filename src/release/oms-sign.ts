// Makes a model's statement and signature in key mode, in the order and words of the specification.
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { compareUtf8, toHex, toUtf8 } from '../bytes/text.ts';
import { pae } from '../crypto/dsse.ts';
import { signEcdsa } from '../crypto/ecdsa.ts';
import { ReleaseError } from '../errors.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { TreeFile } from '../files/tree.ts';
import { inLanes } from './lanes.ts';
import type { ModelFiles } from './model-files.ts';
import { encodeBundle } from './oms-bundle.ts';
import { IN_TOTO_STATEMENT, IN_TOTO_TYPE, OMS_PREDICATE, readStatement, rootDigest } from './oms-statement.ts';
import type { OmsStatement } from './oms-statement.ts';
import type { OmsResource } from './oms-types.ts';
import { keyHint } from './open.ts';
import type { ManifestEntry } from './types.ts';

/** Bytes of a shard, unless told otherwise (OMS v1.0). */
export const SHARD_BYTES = 1_000_000_000;

export interface StatementOptions {
  readonly method: 'files' | 'shards';
  readonly shardBytes?: number;
  /** Recorded in the statement: exact paths relative to the model that `model` was listed without. */
  readonly ignored: readonly string[];
  readonly pool: HashPool;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

interface Hashed {
  readonly resources: OmsResource[];
  readonly entry: ManifestEntry;
}

async function hashFile(folder: string, file: TreeFile, options: StatementOptions): Promise<Hashed> {
  const { method, shardBytes = SHARD_BYTES, pool, onProgress, signal } = options;
  const some = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  const algorithm = 'sha256';
  const cut = method === 'shards' ? { parts: { algorithm, bytes: shardBytes } as const } : {};
  const { size, digests, parts } = await pool.digestFile(join(folder, file.path), [algorithm], { ...some, ...cut });
  const [sha256] = digests;
  if (sha256 === undefined) throw new TypeError(`no digest of ${file.path}`);
  const entry: ManifestEntry = { path: file.path, size, sha256 };
  if (method === 'files') return { entry, resources: [{ name: file.path, digest: toHex(sha256), algorithm }] };
  const resources = parts.map((digest, at) => {
    const start = at * shardBytes;
    const end = Math.min(start + shardBytes, size);
    return { name: `${file.path}:${start}:${end}`, digest: toHex(digest), algorithm };
  });
  return { entry, resources };
}

function assertSignable(model: ModelFiles): void {
  const [fault] = model.faults;
  if (fault !== undefined) {
    const advice = 'only regular files with plain names can be signed: remove it, or leave it out with --ignore';
    throw new ReleaseError('RELEASE_INVALID', `${fault.path}: ${fault.kind}; ${advice}`);
  }
  if (model.files.length === 0) throw new ReleaseError('RELEASE_INVALID', `${model.folder} holds no file to sign`);
}

/** Hashes a model into a statement. Errors: ReleaseError RELEASE_INVALID for what cannot be signed; MeasureError. */
export async function makeStatement(
  model: ModelFiles,
  options: StatementOptions,
): Promise<{ statement: OmsStatement; entries: ManifestEntry[] }> {
  assertSignable(model);
  const hashed = await inLanes(model.files, async (file) => hashFile(model.folder, file, options));
  const resources = hashed.flatMap((one) => one.resources).toSorted((a, b) => compareUtf8(a.name, b.name));
  if (resources.length === 0) {
    throw new ReleaseError(
      'RELEASE_INVALID',
      'all files are empty, and shards cannot name an empty file: use --method files',
    );
  }
  const { method, shardBytes = SHARD_BYTES, ignored } = options;
  const payload = toUtf8(
    JSON.stringify({
      _type: IN_TOTO_STATEMENT,
      subject: [{ name: model.name, digest: { sha256: toHex(rootDigest(resources)) } }],
      predicateType: OMS_PREDICATE,
      predicate: {
        resources,
        serialization: {
          method,
          hash_type: 'sha256',
          ...(method === 'shards' ? { shard_size: shardBytes } : {}),
          allow_symlinks: false,
          ...(ignored.length > 0 ? { ignore_paths: ignored.toSorted(compareUtf8) } : {}),
        },
      },
    }),
  );
  // Read back as any verifier will: what we could not verify we do not sign.
  const read = readStatement(payload);
  if ('faults' in read) {
    throw new ReleaseError('RELEASE_INVALID', read.faults.map((fault) => `${fault.rule}: ${fault.found}`).join('; '));
  }
  return { statement: read.statement, entries: hashed.map((one) => one.entry) };
}

/** model.sig for a statement. `key`: a private ECDSA key. */
export function signStatement(statement: OmsStatement, key: KeyObject): Buffer {
  return encodeBundle(statement.payload, signEcdsa(key, pae(IN_TOTO_TYPE, statement.payload)), keyHint(key));
}
