// The digests that hold rows together: a seal over one row, and the chain from each log record to the one before it.
import { createHash } from 'node:crypto';
import { StoreError } from '../errors.ts';

export type Cell = string | number | Buffer | Uint8Array | null;

/** The chain before the first record. */
export const CHAIN_START: Buffer = Buffer.alloc(32);

/** SHA-256 of table name and cells, each with its type and length, so that no two rows have the same bytes. */
export function sealRow(table: string, cells: readonly Cell[]): Buffer {
  const hash = createHash('sha256').update(`touchstone/row/1\0${table}\0`);
  for (const cell of cells) {
    const bytes = cell instanceof Uint8Array ? cell : Buffer.from(String(cell));
    const type = cell === null ? 'n' : cell instanceof Uint8Array ? 'b' : typeof cell === 'string' ? 's' : 'i';
    hash.update(`${type}${bytes.length}:`).update(bytes);
  }
  return hash.digest();
}

/** Errors: StoreError STORE_CORRUPT when the row is not as it was written. */
export function checkSeal(table: string, cells: readonly Cell[], seal: Uint8Array): void {
  if (sealRow(table, cells).equals(seal)) return;
  throw new StoreError('STORE_CORRUPT', `a row of ${table} is not as it was written`);
}

/** The chain value of record `seq`. */
export function chainRecord(before: Uint8Array, seq: number, digest: Uint8Array, record: Uint8Array): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(seq));
  return createHash('sha256')
    .update('touchstone/record/1')
    .update(before)
    .update(number)
    .update(digest)
    .update(record)
    .digest();
}
