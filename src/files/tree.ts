// What lies in a folder: every regular file with its size, and everything that is not one named as a fault.
import { lstat, readdir } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { compareUtf8 } from '../bytes/text.ts';
import { FileFault, faultKind } from './fault.ts';
import type { Fault } from './fault.ts';

export interface TreeFile {
  /** POSIX path relative to the root, byte-exact UTF-8. */
  readonly path: string;
  readonly size: number;
}

export interface Tree {
  /** Sorted by the bytes of the path. */
  readonly files: TreeFile[];
  readonly faults: Fault[];
}

export interface TreeLimits {
  /** Files, folders and faults together. */
  readonly maxEntries: number;
  /** Folders inside folders; the root's own files are at depth 1. */
  readonly maxDepth: number;
  /** Bytes of a relative path. */
  readonly maxPathBytes: number;
}

export const TREE_LIMITS: TreeLimits = { maxEntries: 500_000, maxDepth: 64, maxPathBytes: 4096 };

export interface ListOptions {
  /** True for a relative path that is left out, with everything below it. */
  readonly exclude?: (path: string) => boolean;
  readonly limits?: TreeLimits;
  readonly signal?: AbortSignal;
}

/** Stat calls under way at once: enough to hide a slow disk, few enough for its queue. */
const CONCURRENT_STATS = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const SLASH = Buffer.from('/');

/** The name as text, or null where it is not UTF-8 without control characters (and so could not be shown or signed). */
function nameText(bytes: Uint8Array): string | null {
  try {
    const text = utf8.decode(bytes);
    return /\p{Cc}/u.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** A name that is no text, made visible: every byte that is not printable ASCII as `\xNN`. */
function shownName(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCodePoint(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}

/** One walk over a folder; what it found so far. */
class Walk {
  readonly files: TreeFile[] = [];
  readonly faults: Fault[] = [];
  readonly #options: ListOptions;
  readonly #limits: TreeLimits;
  #seen = 0;
  #full = false;

  constructor(options: ListOptions) {
    this.#options = options;
    this.#limits = options.limits ?? TREE_LIMITS;
  }

  /** `at` is where the folder is on disk, `path` its path relative to the root ('' for the root). */
  async folder(at: Buffer, path: string, depth: number): Promise<void> {
    this.#options.signal?.throwIfAborted();
    let names: Buffer[];
    try {
      names = await readdir(at, { encoding: 'buffer' });
    } catch (error) {
      this.faults.push({ path: path === '' ? '.' : path, kind: faultKind(error) });
      return;
    }
    names.sort((a, b) => Buffer.compare(a, b));
    for (let i = 0; i < names.length && !this.#full; i += CONCURRENT_STATS) {
      await Promise.all(names.slice(i, i + CONCURRENT_STATS).map((name) => this.#entry(name, at, path, depth)));
    }
  }

  async #entry(name: Buffer, folder: Buffer, parent: string, depth: number): Promise<void> {
    const prefix = parent === '' ? '' : `${parent}/`;
    const text = nameText(name);
    const path = `${prefix}${text ?? shownName(name)}`;
    if (text !== null && this.#options.exclude?.(path) === true) return;
    if (++this.#seen > this.#limits.maxEntries) {
      if (!this.#full) this.faults.push({ path: parent === '' ? '.' : parent, kind: 'too-many' });
      this.#full = true;
      return;
    }
    if (Buffer.byteLength(path) > this.#limits.maxPathBytes) {
      this.faults.push({ path: `${path.slice(0, 256)}…`, kind: 'too-deep' });
      return;
    }
    if (text === null) {
      this.faults.push({ path, kind: 'bad-name' });
      return;
    }
    await this.#named(Buffer.concat([folder, SLASH, name]), path, depth);
  }

  async #named(at: Buffer, path: string, depth: number): Promise<void> {
    let stat: Stats;
    try {
      stat = await lstat(at);
    } catch (error) {
      this.faults.push({ path, kind: faultKind(error) });
      return;
    }
    if (stat.isFile()) this.files.push({ path, size: stat.size });
    else if (stat.isSymbolicLink()) this.faults.push({ path, kind: 'symlink' });
    else if (!stat.isDirectory()) this.faults.push({ path, kind: 'special' });
    else if (depth >= this.#limits.maxDepth) this.faults.push({ path, kind: 'too-deep' });
    else await this.folder(at, path, depth + 1);
  }
}

/**
 * Every regular file under `root`, never following a symbolic link. An empty folder contributes nothing: what is measured is files.
 * What cannot be listed is a fault, not an error. Errors: FileFault where `root` itself is not a folder that can be read.
 */
export async function listTree(root: string, options: ListOptions = {}): Promise<Tree> {
  const at = Buffer.from(root);
  let stat: Stats;
  try {
    stat = await lstat(at);
  } catch (cause) {
    throw new FileFault(faultKind(cause), root, { cause });
  }
  if (!stat.isDirectory()) throw new FileFault(stat.isSymbolicLink() ? 'symlink' : 'special', root);
  const walk = new Walk(options);
  await walk.folder(at, '', 1);
  walk.files.sort((a, b) => compareUtf8(a.path, b.path));
  walk.faults.sort((a, b) => compareUtf8(a.path, b.path));
  return { files: walk.files, faults: walk.faults };
}
