// A disk as the operation log tells it: what is written, what of it is certain, and what a power cut may leave.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Op } from './op-log.ts';

/** A change of bytes that no sync has followed: written at an offset, or cut to a size. */
export type DataChange = { readonly at: number; readonly bytes: Buffer } | { readonly size: number };

export interface FileNode {
  readonly kind: 'file';
  mode: number;
  /** Bytes that are certain. */
  synced: Buffer;
  pending: DataChange[];
}
export interface LinkNode {
  readonly kind: 'link';
  readonly target: string;
}
export interface DirNode {
  readonly kind: 'dir';
  mode: number;
  readonly now: Map<string, DiskNode>;
  /** Names that are certain. */
  readonly synced: Map<string, DiskNode>;
}
export type DiskNode = FileNode | LinkNode | DirNode;

/** Changes of names that happen together or not at all; null takes a name away. */
export interface NameChange {
  readonly parts: readonly { readonly dir: DirNode; readonly name: string; readonly node: DiskNode | null }[];
}

/** What of a disk survives: which changes of names, and of each file which bytes. */
export interface Survival {
  names(pending: readonly NameChange[]): readonly NameChange[];
  bytes(file: FileNode): Buffer;
}

/** A file or link of a disk that survived, by its path from the root; folders end with a slash. */
export type Image = ReadonlyMap<
  string,
  { readonly mode: number; readonly bytes: Buffer; readonly target: string | null }
>;

export function applyChange(bytes: Buffer, change: DataChange): Buffer {
  if ('size' in change) {
    const cut = Buffer.alloc(change.size);
    bytes.copy(cut, 0, 0, Math.min(bytes.length, change.size));
    return cut;
  }
  const grown = Buffer.alloc(Math.max(bytes.length, change.at + change.bytes.length));
  bytes.copy(grown);
  change.bytes.copy(grown, change.at);
  return grown;
}

/** Bytes as a running system sees them. */
export function bytesNow(file: FileNode): Buffer {
  return file.pending.reduce(applyChange, file.synced);
}

export class Disk {
  readonly #path: string;
  readonly #root: DirNode = { kind: 'dir', mode: 0o755, now: new Map(), synced: new Map() };
  readonly #inodes = new Map<number, FileNode>();
  #pending: NameChange[] = [];

  /** Takes the folder as it lies there, all of it certain. */
  constructor(path: string) {
    this.#path = path;
    this.#load(path, this.#root);
  }

  #load(path: string, into: DirNode): void {
    into.mode = lstatSync(path).mode & 0o7777;
    for (const name of readdirSync(path)) {
      const at = join(path, name);
      const stat = lstatSync(at);
      let node: DiskNode;
      if (stat.isDirectory()) {
        node = { kind: 'dir', mode: 0, now: new Map(), synced: new Map() };
        this.#load(at, node);
      } else if (stat.isSymbolicLink()) node = { kind: 'link', target: readlinkSync(at) };
      else if (stat.isFile()) {
        node = this.#inodes.get(stat.ino) ?? {
          kind: 'file',
          mode: stat.mode & 0o7777,
          synced: readFileSync(at),
          pending: [],
        };
        this.#inodes.set(stat.ino, node);
      } else continue;
      into.now.set(name, node);
      into.synced.set(name, node);
    }
  }

  /** True for what happens on this disk. */
  holds(path: string): boolean {
    return path === this.#path || path.startsWith(`${this.#path}/`);
  }

  /** Null: nothing that a disk keeps (a socket). */
  #find(path: string): DiskNode | null {
    let node: DiskNode | undefined = this.#root;
    for (const name of relative(this.#path, path).split('/').filter(Boolean)) {
      if (node?.kind !== 'dir') return null;
      node = node.now.get(name);
    }
    return node ?? null;
  }

  #dir(path: string): DirNode {
    const node = this.#find(path);
    if (node?.kind !== 'dir') throw new RangeError(`no folder ${path}`);
    return node;
  }

  #file(inode: number): FileNode | null {
    return this.#inodes.get(inode) ?? null;
  }

  #name(...parts: { readonly path: string; readonly node: DiskNode | null }[]): void {
    const change = parts.map(({ path, node }) => ({ dir: this.#dir(dirname(path)), name: basename(path), node }));
    applyNames([{ parts: change }], (dir) => dir.now);
    this.#pending.push({ parts: change });
  }

  /** Does what the log says was done. */
  apply({ kind, inode, number, path, second, bytes }: Op): void {
    switch (kind) {
      case 'write':
        this.#file(inode)?.pending.push({ at: number, bytes });
        break;
      case 'truncate':
        this.#file(inode)?.pending.push({ size: number });
        break;
      case 'sync':
        this.#sync(inode, path);
        break;
      case 'create': {
        const file: FileNode = { kind: 'file', mode: number, synced: Buffer.alloc(0), pending: [] };
        this.#inodes.set(inode, file);
        this.#name({ path, node: file });
        break;
      }
      case 'mkdir':
        this.#name({ path, node: { kind: 'dir', mode: number, now: new Map(), synced: new Map() } });
        break;
      case 'symlink':
        this.#name({ path, node: { kind: 'link', target: second } });
        break;
      case 'link':
        this.#name({ path: second, node: this.#find(path) });
        break;
      case 'rename':
        this.#name({ path, node: null }, { path: second, node: this.#find(path) });
        break;
      case 'unlink':
      case 'rmdir':
        if (this.#find(path) !== null) this.#name({ path, node: null });
        break;
      case 'chmod': {
        const node = this.#find(path);
        if (node !== null && node.kind !== 'link') node.mode = number;
        break;
      }
    }
  }

  #sync(inode: number, path: string): void {
    const node = this.#find(path);
    if (node?.kind === 'dir') {
      const here = (change: NameChange): boolean => change.parts.some(({ dir }) => dir === node);
      applyNames(this.#pending.filter(here), (dir) => dir.synced);
      this.#pending = this.#pending.filter((change) => !here(change));
      return;
    }
    const file = this.#file(inode);
    if (file === null) return;
    file.synced = bytesNow(file);
    file.pending = [];
  }

  /** True when something would be lost if the power went now. */
  get uncertain(): boolean {
    return this.#pending.length > 0 || [...this.#inodes.values()].some((file) => file.pending.length > 0);
  }

  /** The disk that is found after a cut that leaves this much. */
  image(survival: Survival): Image {
    const names = new Map<DirNode, Map<string, DiskNode>>();
    const of = (dir: DirNode): Map<string, DiskNode> => {
      const held = names.get(dir) ?? new Map(dir.synced);
      names.set(dir, held);
      return held;
    };
    applyNames(survival.names(this.#pending), of);
    const image = new Map<string, { mode: number; bytes: Buffer; target: string | null }>();
    const walk = (dir: DirNode, at: string): void => {
      image.set(`${at}/`, { mode: dir.mode, bytes: Buffer.alloc(0), target: null });
      for (const [name, node] of [...of(dir)].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        const path = at === '' ? name : `${at}/${name}`;
        if (node.kind === 'dir') walk(node, path);
        else if (node.kind === 'link') image.set(path, { mode: 0, bytes: Buffer.alloc(0), target: node.target });
        else image.set(path, { mode: node.mode, bytes: survival.bytes(node), target: null });
      }
    };
    walk(this.#root, '');
    return image;
  }
}

function applyNames(changes: readonly NameChange[], of: (dir: DirNode) => Map<string, DiskNode>): void {
  for (const { parts } of changes) {
    for (const { dir, name, node } of parts) {
      if (node === null) of(dir).delete(name);
      else of(dir).set(name, node);
    }
  }
}

/** Equal for equal disks. */
export function imageDigest(image: Image): string {
  const hash = createHash('sha256');
  for (const [path, { mode, bytes, target }] of image) {
    hash.update(`${path}\0${mode}\0${target ?? ''}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

/** Puts the disk in the place of the folder `path`. */
export function writeImage(image: Image, path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  for (const [name, { mode, bytes, target }] of image) {
    const at = join(path, name);
    if (name.endsWith('/')) mkdirSync(at, { recursive: true });
    else if (target !== null) symlinkSync(target, at);
    else writeFileSync(at, bytes, { mode: 0o600 });
    if (target === null && !name.endsWith('/')) chmodSync(at, mode);
  }
  for (const [name, { mode }] of image) if (name.endsWith('/')) chmodSync(join(path, name), mode);
}

export const EMPTY_DIFFERENCE = '';

/** The first path at which two disks are not equal, with how; empty when they are. */
export function imageDifference(a: Image, b: Image): string {
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const [left, right] = [a.get(path), b.get(path)];
    if (left === undefined || right === undefined) return `${path} is on one of them only`;
    if (left.target !== right.target) return `${path} leads to ${left.target ?? '-'} and ${right.target ?? '-'}`;
    if (!left.bytes.equals(right.bytes)) return `${path} has other bytes (${left.bytes.length}, ${right.bytes.length})`;
    if (left.target === null && left.mode !== right.mode) return `${path} has modes ${left.mode} and ${right.mode}`;
  }
  return EMPTY_DIFFERENCE;
}
