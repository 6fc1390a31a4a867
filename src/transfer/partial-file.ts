// A file that is on its way: its bytes so far, and beside them how many of them a power cut leaves.
import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { toUtf8 } from '../bytes/text.ts';
import { WireError } from '../errors.ts';
import { fsyncDir, writeFileDurably } from '../files/durable.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import { readBounded } from '../release/release-folder.ts';
import type { ByteCheck } from './byte-check.ts';

/** What the server says of a file before it sends it. */
export interface Announced {
  /** Bytes. */
  readonly size: number;
  /** Names this very content, as the server sees it; null: it does not. */
  readonly tag: string | null;
}

interface State extends Announced {
  /** Bytes that are on the disk for sure. */
  readonly offset: number;
}

const stateShape: Shape<State> = v.strictObject({ size: uint(), tag: v.nullable(text(256)), offset: uint() });
const STATE_BYTES = 4096;
const BLOCK = 1024 * 1024;
/** How much may have to be fetched again after a power cut. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024;

async function readState(path: string, announced: Announced): Promise<number> {
  const bytes = await readBounded(path, STATE_BYTES).catch(() => null);
  if (bytes === null) return 0;
  try {
    const state = parseShape(stateShape, parseJsonStrict(bytes), 'state');
    return state.size === announced.size && state.tag === announced.tag ? Math.min(state.offset, state.size) : 0;
  } catch (error) {
    if (error instanceof WireError) return 0;
    throw error;
  }
}

export class PartialFile implements AsyncDisposable {
  readonly announced: Announced;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #newCheck: () => ByteCheck;
  #check: ByteCheck;
  #offset = 0;
  #durable = 0;
  #closed = false;

  private constructor(path: string, handle: FileHandle, announced: Announced, newCheck: () => ByteCheck) {
    this.#path = path;
    this.#handle = handle;
    this.announced = announced;
    this.#newCheck = newCheck;
    this.#check = newCheck();
  }

  /** Opens `path`.part where it was left, and reads again what is there: only bytes that were read are believed. */
  static async open(path: string, announced: Announced, newCheck: () => ByteCheck): Promise<PartialFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const offset = await readState(`${path}.json`, announced);
    const handle = await open(`${path}.part`, offset === 0 ? 'w+' : 'r+', 0o600).catch(async () =>
      open(`${path}.part`, 'w+', 0o600),
    );
    const partial = new PartialFile(path, handle, announced, newCheck);
    try {
      await partial.#readAgain(offset);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return partial;
  }

  /** Bytes that are there. */
  get offset(): number {
    return this.#offset;
  }

  /** What is wrong with the bytes so far. */
  get fault(): ReleaseFault | null {
    return this.#check.fault;
  }

  async #readAgain(offset: number): Promise<void> {
    const block = Buffer.allocUnsafe(BLOCK);
    while (this.#offset < offset) {
      const { bytesRead } = await this.#handle.read(block, 0, Math.min(BLOCK, offset - this.#offset), this.#offset);
      if (bytesRead === 0) break;
      this.#check.update(block.subarray(0, bytesRead));
      this.#offset += bytesRead;
    }
    this.#durable = this.#offset;
    await this.#handle.truncate(this.#offset);
    if (this.fault !== null) await this.restart();
  }

  /** Throws away what is there. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#check = this.#newCheck();
    this.#offset = 0;
    await this.#checkpoint();
  }

  /** Never beyond the announced size: the caller sees to it. */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.#offset + bytes.length > this.announced.size) throw new RangeError('more bytes than announced');
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, this.#offset + at);
      at += bytesWritten;
    }
    this.#check.update(bytes);
    this.#offset += bytes.length;
    if (this.#offset - this.#durable >= CHECKPOINT_BYTES) await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    await this.#handle.datasync();
    const state: State = { ...this.announced, offset: this.#offset };
    await writeFileDurably(`${this.#path}.json`, toUtf8(JSON.stringify(state)));
    this.#durable = this.#offset;
  }

  /** All bytes are there: what is wrong with them, or, with null, the file under its name, durably. */
  async finish(target: string): Promise<ReleaseFault | null> {
    if (this.#offset !== this.announced.size) throw new RangeError('the file is not whole');
    const fault = this.#check.end();
    if (fault !== null) return fault;
    await this.#handle.sync();
    await this.#close();
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await rename(`${this.#path}.part`, target);
    await fsyncDir(dirname(target));
    await rm(`${this.#path}.json`, { force: true });
    return null;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    await this.#handle.close();
  }

  /** What came is kept for the next time. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#offset > this.#durable) await this.#checkpoint();
    } finally {
      await this.#close();
    }
  }
}
