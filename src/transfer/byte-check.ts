// Compares the bytes of one file with what its signed statement says, while they come.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { toHex } from '../bytes/text.ts';
import type { HashName } from '../files/hashes.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import type { OmsFile } from '../release/oms-types.ts';

export class ByteCheck {
  readonly #file: OmsFile;
  readonly #algorithm: HashName;
  #hash: Hash;
  #part = 0;
  #at = 0;
  #fault: ReleaseFault | null = null;

  constructor(file: OmsFile, algorithm: HashName) {
    this.#file = file;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  /** The first part of the file that is not as it was signed; null as long as none is. */
  get fault(): ReleaseFault | null {
    return this.#fault;
  }

  /** The next bytes, in order. Ends of signed parts that lie in them are judged at once. */
  update(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length && this.#fault === null;) {
      const end = this.#file.parts[this.#part]?.end ?? Infinity;
      const to = Math.min(bytes.length, from + end - this.#at);
      this.#hash.update(bytes.subarray(from, to));
      this.#at += to - from;
      from = to;
      if (this.#at === end) this.#endPart();
    }
  }

  /** After the last byte. */
  end(): ReleaseFault | null {
    // The part of a whole file has no end of its own; a shard that is still open has lost bytes.
    if (this.#fault === null && this.#part < this.#file.parts.length) this.#endPart();
    return this.#fault;
  }

  #endPart(): void {
    const part = this.#file.parts[this.#part++];
    const found = this.#hash.digest();
    this.#hash = createHash(this.#algorithm);
    if (part !== undefined && found.equals(part.digest)) return;
    const signed = part === undefined ? 'no more bytes' : toHex(part.digest);
    this.#fault = { rule: 'release-file-changed', expected: `${this.#file.path}: ${signed}`, found: toHex(found) };
  }
}
