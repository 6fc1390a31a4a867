// The operation log: builds the library that writes it, sets it to work in this process, and reads what it wrote.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** In the order of `enum kind` in op-log.c, from 1. */
const KINDS = [
  'write',
  'truncate',
  'sync',
  'create',
  'mkdir',
  'rename',
  'link',
  'symlink',
  'unlink',
  'rmdir',
  'chmod',
] as const;
export type OpKind = (typeof KINDS)[number];

/** One change to the file system, as it was answered. */
export interface Op {
  readonly kind: OpKind;
  /** Of files: write, truncate, sync, create. */
  readonly inode: number;
  /** Offset of a write, size of a truncation, mode. */
  readonly number: number;
  readonly path: string;
  /** Where to, of rename and link; the text of a symbolic link. */
  readonly second: string;
  readonly bytes: Buffer;
}

/** Errors that an operation can be made to end with, and what Linux calls them. */
export const ERRNO = { EIO: 5, ENOSPC: 28, EROFS: 30 } as const;
export type ErrnoName = keyof typeof ERRNO;

const SOURCE = new URL('op-log.c', import.meta.url).pathname;
const FIELD = {
  count: 0,
  from: 8,
  until: 16,
  error: 24,
  watch: 28,
  root: 32,
  spared: 224,
  log: 256,
  size: 512,
} as const;

/** Compiles the library, once for each text of its source. Errors: Error when there is no C compiler. */
export function buildOpLog(): string {
  const name = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `touchstone-op-log-${userInfo().uid}`);
  const library = join(folder, `${name}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = `${library}.${process.pid}`;
  try {
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', made, SOURCE, '-ldl', '-lpthread'], { stdio: 'pipe' });
  } catch (cause) {
    throw new Error('the operation log could not be compiled: sh native/setup/setup.sh --with-models', { cause });
  }
  renameSync(made, library);
  return library;
}

/** What a process with the library needs in its environment. */
export function opLogEnvironment(library: string, control: string): Record<string, string> {
  return { LD_PRELOAD: library, CRASH_CONTROL: control, UV_USE_IO_URING: '0' };
}

function textField(text: string, bytes: number): Buffer {
  const field = Buffer.alloc(bytes);
  if (field.write(text) >= bytes) throw new RangeError(`too long: ${text}`);
  return field;
}

/** The switchboard of a process that has the library. */
export class OpLog {
  readonly #control: number;
  readonly #log: string;

  /** `control`: the file that the process was started with. */
  constructor(control: string) {
    this.#control = openSync(control, 'r+');
    this.#log = `${control}.log`;
    writeSync(this.#control, textField(this.#log, FIELD.size - FIELD.log), 0, null, FIELD.log);
  }

  /** Writes the file that a process is then started with. */
  static prepare(control: string): void {
    const empty = Buffer.alloc(FIELD.size);
    empty.writeBigInt64LE(-1n, FIELD.from);
    const file = openSync(control, 'w', 0o600);
    writeSync(file, empty);
    closeSync(file);
  }

  #int32(field: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(this.#control, bytes, 0, 4, field);
  }

  #int64(field: number, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    writeSync(this.#control, bytes, 0, 8, field);
  }

  /** Watches everything below `root`, counting from 0. */
  watch(root: string): void {
    this.#int64(FIELD.from, -1);
    this.#int64(FIELD.count, 0);
    writeSync(this.#control, textField(root, FIELD.spared - FIELD.root), 0, null, FIELD.root);
    this.#int32(FIELD.watch, 1);
  }

  /** What was written down before is forgotten. Only while nothing is watched. */
  begin(): void {
    if (existsSync(this.#log)) truncateSync(this.#log);
  }

  close(): void {
    closeSync(this.#control);
  }

  stop(): void {
    this.#int32(FIELD.watch, 0);
    this.#int64(FIELD.from, -1);
  }

  /** Operation `from` (from 0) and those up to `until` fail with `error`; 0: the process is killed there. Never where `spared` is in the path. */
  failFrom(from: number, until: number, error: number, spared = ''): void {
    writeSync(this.#control, textField(spared, FIELD.log - FIELD.spared), 0, null, FIELD.spared);
    this.#int32(FIELD.error, error);
    this.#int64(FIELD.until, until);
    this.#int64(FIELD.from, from);
  }

  failNoMore(): void {
    this.#int64(FIELD.from, -1);
  }

  /** Operations since `watch`. */
  get count(): number {
    const bytes = Buffer.alloc(8);
    readSync(this.#control, bytes, 0, 8, FIELD.count);
    return Number(bytes.readBigUInt64LE());
  }

  /** Everything written down since `begin`. */
  read(): Op[] {
    const log = existsSync(this.#log) ? readFileSync(this.#log) : Buffer.alloc(0);
    const ops: Op[] = [];
    for (let at = 0; at < log.length;) {
      const end = at + 4 + log.readUInt32LE(at);
      ops.push(decodeOp(log.subarray(at + 4, end)));
      at = end;
    }
    return ops;
  }
}

function decodeOp(entry: Buffer): Op {
  const kind = KINDS[entry.readUInt8(0) - 1];
  if (kind === undefined) throw new RangeError(`operation of kind ${entry.readUInt8(0)}`);
  const firstEnd = 19 + entry.readUInt16LE(17);
  const secondEnd = firstEnd + 2 + entry.readUInt16LE(firstEnd);
  return {
    kind,
    inode: Number(entry.readBigUInt64LE(1)),
    number: Number(entry.readBigUInt64LE(9)),
    path: entry.toString('utf8', 19, firstEnd),
    second: entry.toString('utf8', firstEnd + 2, secondEnd),
    bytes: entry.subarray(secondEnd),
  };
}
