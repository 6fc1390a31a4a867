// UEFI variables and signature lists inside measured events, read strictly: a list of unknown form is refused, never guessed at.
import { Reader } from '../bytes/wire.ts';
import { u32le, u64le } from './little-endian.ts';

/** UEFI_VARIABLE_DATA, PFP 1.05, 10.2.6. */
export interface EfiVariable {
  /** EFI_GUID in its usual text form. */
  readonly vendor: string;
  readonly name: string;
  readonly data: Buffer;
}

/** How many entries of each kind a signature database holds. */
export interface SignatureCounts {
  readonly certificates: number;
  readonly digests: number;
}

const MAX_NAME = 512;
const MAX_DATA = 1024 * 1024;

/** EFI_GUID: the first three fields are little-endian. */
export function guidText(bytes: Buffer): string {
  const hex = (part: Buffer): string => part.toString('hex');
  const turned = (from: number, to: number): string => hex(Buffer.from(bytes.subarray(from, to).toReversed()));
  return [turned(0, 4), turned(4, 6), turned(6, 8), hex(bytes.subarray(8, 10)), hex(bytes.subarray(10, 16))].join('-');
}

/** Errors: WireError. */
export function readEfiVariable(bytes: Uint8Array): EfiVariable {
  const from = new Reader(bytes, 'variable');
  const vendor = guidText(from.take(16));
  const nameLength = u64le(from, MAX_NAME);
  const dataLength = u64le(from, MAX_DATA);
  const name = from.take(nameLength * 2).toString('utf16le');
  const data = from.take(dataLength);
  from.end();
  return { vendor, name, data };
}

const X509 = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
const SHA256 = 'c1c41626-504c-4092-aca9-41f936934328';
const MAX_LISTS = 4096;

/**
 * EFI_SIGNATURE_LIST…, UEFI 2.10, 32.4.1. Only the two types that secure boot uses, each with a signature header of no bytes: a
 * header or a type of the writer's own choice would hide bytes that look like entries to one reader and like filling to
 * another. Errors: WireError.
 */
export function countSignatures(bytes: Uint8Array): SignatureCounts {
  const from = new Reader(bytes, 'signatures');
  let [certificates, digests] = [0, 0];
  for (let lists = 0; from.left > 0; lists++) {
    if (lists === MAX_LISTS) from.fail('WIRE_LIMIT', `more than ${MAX_LISTS} lists`);
    const type = guidText(from.take(16));
    const [listSize, headerSize, size] = [u32le(from), u32le(from), u32le(from)];
    if (headerSize !== 0) from.fail('WIRE_RANGE', `a signature header of ${headerSize} bytes`);
    if (type !== X509 && type !== SHA256) from.fail('WIRE_RANGE', `signatures of type ${type}`);
    // Each entry: owner's GUID, then the certificate or the digest.
    if (size < 17 || (type === SHA256 && size !== 48)) from.fail('WIRE_RANGE', `entries of ${size} bytes`);
    if (listSize < 28 || (listSize - 28) % size !== 0) from.fail('WIRE_RANGE', `a list of ${listSize} bytes`);
    const entries = (listSize - 28) / size;
    from.within(listSize - 28);
    if (type === X509) certificates += entries;
    else digests += entries;
  }
  return { certificates, digests };
}
