// The canonical list of a model's files: what measurements, passports and log events mean by "manifest".
import { encodeCbor } from '../bytes/cbor.ts';
import { compareUtf8 } from '../bytes/text.ts';
import type { DifferingFile } from '../cel/events.ts';
import { equalBytes, sha256 } from '../crypto/digest.ts';
import type { ManifestEntry } from './types.ts';

/** What a comparison needs of a file; what a signer says of it may lack the size. */
export type FileDigest = Pick<ManifestEntry, 'path' | 'sha256'>;

/**
 * Deterministic CBOR array of [path, size, sha256], sorted by the bytes of the path. Errors: RangeError when a path occurs twice
 * or a digest is not 32 bytes long.
 */
export function canonicalManifest(entries: readonly ManifestEntry[]): Buffer {
  const sorted = entries.toSorted((a, b) => compareUtf8(a.path, b.path));
  for (const [at, entry] of sorted.entries()) {
    if (entry.sha256.length !== 32) throw new RangeError(`digest of ${entry.path}: ${entry.sha256.length} bytes`);
    if (entry.path === sorted[at + 1]?.path) throw new RangeError(`${entry.path} occurs twice`);
  }
  // A plain Uint8Array, because a Buffer is one too but would be encoded over its whole pool by a careless encoder.
  return encodeCbor(sorted.map((entry) => [entry.path, entry.size, Uint8Array.from(entry.sha256)]));
}

/** SHA-256 of the canonical manifest. */
export function manifestDigest(entries: readonly ManifestEntry[]): Buffer {
  return sha256(canonicalManifest(entries));
}

/** The files that differ, sorted by path: at most `max` of them, and how many `more`. Null stands for absent on that side. */
export function diffManifests(
  expected: readonly FileDigest[],
  found: readonly FileDigest[],
  max: number,
): { differing: DifferingFile[]; more: number } {
  const left = new Map(found.map((entry) => [entry.path, entry.sha256]));
  const all: DifferingFile[] = [];
  for (const { path, sha256: want } of expected) {
    const got = left.get(path) ?? null;
    left.delete(path);
    if (got === null || !equalBytes(got, want)) all.push({ path, expected: want, found: got });
  }
  for (const [path, got] of left) all.push({ path, expected: null, found: got });
  all.sort((a, b) => compareUtf8(a.path, b.path));
  return { differing: all.slice(0, max), more: Math.max(0, all.length - max) };
}
