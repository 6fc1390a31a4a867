// From the resources of a statement to files: every file with the byte ranges that were hashed, and safe to look for.
import { fromHex } from '../bytes/text.ts';
import type { HashName } from '../files/hashes.ts';
import { shown } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import type { OmsFile, OmsPart, OmsResource, OmsSerialization } from './oms-types.ts';

/** Registry name → Node's name and digest length (OMS algorithm registry; blake2b is BLAKE2b-512). */
const HASHES: ReadonlyMap<string, { readonly node: HashName; readonly bytes: number }> = new Map([
  ['sha256', { node: 'sha256', bytes: 32 }],
  ['blake2b', { node: 'blake2b512', bytes: 64 }],
  // What the reference tool's own automatic configuration calls it.
  ['blake2', { node: 'blake2b512', bytes: 64 }],
]);

/** The hash of a `hash_type` in Node's words; undefined where it is none of ours (BLAKE3 is not in OpenSSL). */
export function hashOfType(hashType: string): HashName | undefined {
  return HASHES.get(hashType)?.node;
}

/** Why a path may not be used inside of a model folder; null when it may. The reading is POSIX, byte-exact. */
export function pathFault(path: string): string | null {
  if (path === '' || path.startsWith('/')) return 'absolute or empty';
  if (/\p{Cc}/u.test(path)) return 'holds a control character';
  if (Buffer.byteLength(path) > 4096) return 'longer than 4096 bytes';
  for (const part of path.split('/')) {
    if (part === '..') return 'leads out of the folder';
    if (part === '' || part === '.') return 'not in its shortest form';
    if (Buffer.byteLength(part) > 255) return 'has a part longer than 255 bytes';
  }
  return null;
}

/** A hostile statement may break a rule in each of its resources; a person needs the first few. */
const MAX_FAULTS = 64;

const malformed = (expected: string, found: string): ReleaseFault => ({
  rule: 'release-malformed',
  expected,
  found: shown(found),
});

/** The last two colon-integers of a shard's name are its bounds: a path may hold colons itself. */
function splitShard(name: string): { path: string; start: number; end: number } | null {
  const match = /^(.+):(0|[1-9]\d{0,15}):([1-9]\d{0,15})$/su.exec(name);
  if (match === null) return null;
  const [, path = '', start = '', end = ''] = match;
  const bounds = { path, start: Number(start), end: Number(end) };
  return Number.isSafeInteger(bounds.end) && bounds.start < bounds.end ? bounds : null;
}

function algorithmFits(resource: OmsResource, serialization: OmsSerialization): boolean {
  const { algorithm, digest } = resource;
  // The reference tool writes `sha256-sharded-1000000000`; the specification wants the bare name.
  const [base = '', mark, size, ...rest] = algorithm.split('-');
  const suffix =
    mark === undefined || (mark === 'sharded' && Number(size) === serialization.shard_size && rest.length === 0);
  const [stated, used] = [HASHES.get(serialization.hash_type), HASHES.get(base)];
  return suffix && used !== undefined && used.node === stated?.node && digest.length === used.bytes * 2;
}

function shardsFault(path: string, parts: readonly OmsPart[], shardSize: number): ReleaseFault | null {
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const length = (part.end ?? 0) - part.start;
    const last = index === parts.length - 1;
    if (part.start !== at || length > shardSize || (!last && length !== shardSize)) {
      return malformed(`shards of ${shardSize} bytes without gap or overlap`, `${path}: ${part.start} to ${part.end}`);
    }
    at = part.end ?? at;
  }
  return null;
}

/** All resources as files, and everything that is wrong with them. */
export function groupResources(
  resources: readonly OmsResource[],
  serialization: OmsSerialization,
): { files: OmsFile[]; faults: ReleaseFault[] } {
  const { method, shard_size: shardSize, hash_type: hashType } = serialization;
  if (!HASHES.has(hashType)) {
    return { files: [], faults: [malformed('hash_type sha256 or blake2b', `hash_type ${hashType}`)] };
  }
  if ((method === 'shards') !== (shardSize !== undefined)) {
    return { files: [], faults: [malformed('shard_size with method shards, and only then', `method ${method}`)] };
  }
  const faults: ReleaseFault[] = [];
  const byPath = new Map<string, OmsPart[]>();
  for (const resource of resources) {
    if (faults.length >= MAX_FAULTS) break;
    if (!algorithmFits(resource, serialization)) {
      faults.push(malformed(`a digest by ${hashType}`, `${resource.name}: ${resource.algorithm} ${resource.digest}`));
      continue;
    }
    const shard = method === 'shards' ? splitShard(resource.name) : { path: resource.name, start: 0, end: null };
    if (shard === null) {
      faults.push(malformed('a shard named path:start:end', resource.name));
      continue;
    }
    // `.` is how the reference tool names the one file of a single-file model.
    const why = shard.path === '.' ? null : pathFault(shard.path);
    if (why !== null) {
      faults.push({
        rule: 'release-path',
        expected: 'a path inside of the model',
        found: shown(`${shard.path}: ${why}`),
      });
      continue;
    }
    const part: OmsPart = { start: shard.start, end: shard.end, digest: fromHex(resource.digest) };
    const parts = byPath.get(shard.path);
    if (parts === undefined) byPath.set(shard.path, [part]);
    else if (method === 'shards') parts.push(part);
    else faults.push(malformed('each file once', `${shard.path} twice`));
  }
  if (byPath.size > 1 && byPath.has('.')) faults.push(malformed('`.` only for a model of one file', '. among others'));
  const files: OmsFile[] = [];
  for (const [path, parts] of byPath) {
    parts.sort((a, b) => a.start - b.start);
    const fault = shardSize === undefined ? null : shardsFault(path, parts, shardSize);
    if (fault !== null) faults.push(fault);
    files.push({ path, size: parts.at(-1)?.end ?? null, parts });
  }
  return { files, faults };
}
