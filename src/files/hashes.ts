// The digests of one pass over some bytes: of the whole, and of its parts of equal length.
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

/** The hashes that manifests are made with, in Node's names. */
export type HashName = 'sha256' | 'sha384' | 'sha512' | 'blake2b512';

/** Parts of `bytes` each, but the last, which may be shorter. */
export interface Parts {
  readonly algorithm: HashName;
  readonly bytes: number;
}

export class Hashes {
  readonly #whole: readonly Hash[];
  readonly #parts: Parts | null;
  readonly #done: Buffer[] = [];
  #part: Hash | null = null;
  #filled = 0;

  constructor(algorithms: readonly HashName[], parts: Parts | null) {
    if (parts !== null && !(parts.bytes > 0)) throw new RangeError(`parts of ${parts.bytes} bytes`);
    this.#whole = algorithms.map((name) => createHash(name));
    this.#parts = parts;
  }

  update(block: Buffer): void {
    for (const hash of this.#whole) hash.update(block);
    if (this.#parts !== null) this.#updateParts(block, this.#parts);
  }

  #updateParts(block: Buffer, { algorithm, bytes }: Parts): void {
    for (let at = 0; at < block.length;) {
      const end = Math.min(block.length, at + bytes - this.#filled);
      this.#part ??= createHash(algorithm);
      this.#part.update(block.subarray(at, end));
      this.#filled += end - at;
      if (this.#filled === bytes) this.#endPart();
      at = end;
    }
  }

  #endPart(): void {
    if (this.#part !== null) this.#done.push(this.#part.digest());
    this.#part = null;
    this.#filled = 0;
  }

  /** `digests` in the order of the algorithms, `parts` in the order of the bytes. Ends this. */
  digest(): { readonly digests: Buffer[]; readonly parts: Buffer[] } {
    this.#endPart();
    return { digests: this.#whole.map((hash) => hash.digest()), parts: this.#done };
  }
}
