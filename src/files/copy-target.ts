// The file that a copy makes: large ones go past the system's cache, so that neither the models in use are driven out of a small memory
// nor the journal's next sync has to wait for all that was copied.
import type { FileIo } from './file-io.ts';

/** A block of a copy: each is handed to the system twice, so few and large ones. */
export const COPY_BLOCK_BYTES: number = 1024 * 1024;
/** One being read, one being hashed, two on their way to the disk. */
export const COPY_BLOCKS = 4;
/** Smaller files are better off in the cache: they are read again at once. */
const DIRECT_BYTES = 16 * COPY_BLOCK_BYTES;
/** Places, lengths and memory of direct writes: whole pages satisfy every disk. */
const PAGE_BYTES = 4096;
/** Written bytes that wait in the cache before the disk is asked to begin. */
const FLUSH_BYTES = 64 * 1024 * 1024;

/** Memory that begins with a page: resizable buffers do, others begin anywhere. */
export function wholePages(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes);
}

/** The copy could not be written. `code` is the system's: `ENOSPC`. */
export class UnwrittenError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

function unwritten(cause: unknown): UnwrittenError {
  return new UnwrittenError((cause as Error).message, codeOf(cause));
}

export class CopyTarget {
  readonly #fd: number;
  readonly #io: FileIo;
  /** Null where there is none, or it is good for nothing. */
  readonly #direct: number | null;
  #isDirect: boolean;
  #unflushed = 0;
  #flushing: Promise<void> | null = null;

  private constructor(fd: number, io: FileIo, direct: number | null) {
    this.#fd = fd;
    this.#io = io;
    this.#direct = direct;
    this.#isDirect = direct !== null;
  }

  /** For `size` bytes, which go into the empty file that is open as `fd`. */
  static async open(fd: number, size: number, io: FileIo): Promise<CopyTarget> {
    const direct = io.beside && size >= DIRECT_BYTES ? await io.direct(fd).catch(() => null) : null;
    return new CopyTarget(fd, io, direct);
  }

  /** Several may be under way at once. `block` is memory of wholePages(). Errors: UnwrittenError. */
  async write(block: Buffer, position: number): Promise<void> {
    try {
      for (let at = 0; at < block.length;) at += await this.#some(block.subarray(at), at, position + at);
    } catch (cause) {
      throw unwritten(cause);
    }
    this.#flush();
  }

  /** Writes at least one byte of `part`, which begins `offset` bytes into its block. */
  async #some(part: Buffer, offset: number, position: number): Promise<number> {
    if (this.#direct !== null && this.#isDirect && [part.length, offset, position].every((n) => n % PAGE_BYTES === 0)) {
      try {
        return await this.#io.write(this.#direct, part, position);
      } catch (error) {
        // A file system that lets it be opened and then wants none of it.
        if (codeOf(error) !== 'EINVAL') throw error;
        this.#isDirect = false;
      }
    }
    const written = await this.#io.write(this.#fd, part, position);
    this.#unflushed += written;
    return written;
  }

  /** The disk is put to work while the rest is read and hashed, not when all of it is. */
  #flush(): void {
    if (!this.#io.beside || this.#unflushed < FLUSH_BYTES || this.#flushing !== null) return;
    this.#unflushed = 0;
    this.#flushing = this.#untilFlushed();
    // One that failed stays, for the end.
    this.#flushing.catch(() => undefined);
  }

  async #untilFlushed(): Promise<void> {
    await this.#io.flush(this.#fd);
    this.#flushing = null;
  }

  /** When nothing is under way any more. Errors: UnwrittenError. */
  async end(): Promise<void> {
    try {
      await this.#flushing;
    } catch (cause) {
      throw unwritten(cause);
    } finally {
      if (this.#direct !== null) await this.#io.close(this.#direct);
    }
  }
}
