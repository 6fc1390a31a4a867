// The newest records of the log, as they went into it: evidence mostly carries these, and then nobody needs to ask the journal's thread.

/** What is kept, at most, in bytes of records. */
const KEPT_BYTES = 16 * 1024;

export class RecentRecords {
  #open: Buffer | null = null;
  /** Without a gap; the last has the number `#last`. */
  #kept: Buffer[] = [];
  #last = 0;

  opened(record: Buffer): void {
    this.#open = record;
  }

  /** The open record is record `seq` of the log from now on. */
  closed(seq: number): void {
    if (this.#open === null || seq !== this.#last + 1) this.#kept = [];
    if (this.#open !== null) this.#kept.push(this.#open);
    this.#open = null;
    this.#last = seq;
    let bytes = this.#kept.reduce((sum, { length }) => sum + length, 0);
    while (bytes > KEPT_BYTES) bytes -= this.#kept.shift()?.length ?? bytes;
  }

  /** The open record is not to be part of the log. */
  dropped(): void {
    this.#open = null;
  }

  forget(): void {
    this.dropped();
    this.#kept = [];
    this.#last = 0;
  }

  /** Records from..to inclusive, when all of them are here. */
  get(from: number, to: number): Buffer[] | null {
    const first = this.#last - this.#kept.length + 1;
    return from >= first && from <= to && to <= this.#last ? this.#kept.slice(from - first, to - first + 1) : null;
  }
}
