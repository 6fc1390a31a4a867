// One record of the kernel's measurement list (IMA): the template's fields, and the bytes that went into PCR 10.
import { Reader } from '../bytes/wire.ts';
import { sha256, SHA256_BYTES } from '../crypto/digest.ts';
import { sized32le } from './little-endian.ts';

/** The templates whose PCR digest is the digest of their data. The old `ima` is not among them: its digests are SHA-1. */
export const IMA_TEMPLATES = ['ima-ng', 'ima-sig'] as const;
export type ImaTemplate = (typeof IMA_TEMPLATES)[number];

export interface ImaRecord {
  readonly template: ImaTemplate;
  readonly algorithm: string;
  /** Of the file's bytes. Zeros in a violation. */
  readonly fileDigest: Buffer;
  /** As the kernel names it, for the eye: spaces became underscores, and what is not UTF-8 is shown as U+FFFD. */
  readonly path: string;
  /** The file's signature (security.ima); empty: none, or a template without. */
  readonly signature: Buffer;
  /** The kernel could not measure soundly (open for writing while measured, or the reverse): the PCR got 32 bytes 0xff. */
  readonly violation: boolean;
  /** What PCR 10 of the SHA-256 bank was extended with. */
  readonly extended: Buffer;
}

export const IMA_PCR = 10;
/** Bytes of a whole list, of one record's data, and the number of records. */
export const IMA_LIMITS = { bytes: 67_108_864, data: 65_536, records: 500_000 } as const;

/** Algorithms that the kernel may be configured with, by digest size. */
const ALGORITHMS: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64, sm3: 32 };

function isTemplate(name: string): name is ImaTemplate {
  return (IMA_TEMPLATES as readonly string[]).includes(name);
}

export function templateOf(name: string, from: Reader): ImaTemplate {
  return isTemplate(name) ? name : from.fail('WIRE_RANGE', `template ${JSON.stringify(name.slice(0, 40))}`);
}

/** `sha256:` NUL digest, the field d-ng. */
function readFileDigest(field: Buffer, from: Reader): { algorithm: string; fileDigest: Buffer } {
  const end = field.indexOf(0);
  const algorithm = end > 0 && field[end - 1] === 0x3a ? field.toString('latin1', 0, end - 1) : '';
  const size = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined;
  const fileDigest = field.subarray(end + 1);
  if (size === undefined || fileDigest.length !== size) from.fail('WIRE_RANGE', 'a digest of no known algorithm');
  return { algorithm, fileDigest };
}

/** Path and NUL, the field n-ng. */
function readPath(field: Buffer, from: Reader): string {
  const end = field.indexOf(0);
  if (end !== field.length - 1) from.fail('WIRE_MALFORMED', 'a path that does not end where its field does');
  return field.toString('utf8', 0, end);
}

/** A record from its template data; `listed` is the template digest that the list shows. Errors: WireError. */
export function readTemplateData(template: ImaTemplate, data: Buffer, listed: Uint8Array, at: string): ImaRecord {
  const from = new Reader(data, at);
  const { algorithm, fileDigest } = readFileDigest(sized32le(from, IMA_LIMITS.data), from);
  const path = readPath(sized32le(from, IMA_LIMITS.data), from);
  const signature = template === 'ima-sig' ? sized32le(from, IMA_LIMITS.data) : Buffer.alloc(0);
  from.end();
  // The list has no other mark of a violation than a template digest of zeros.
  const violation = listed.every((byte) => byte === 0);
  const extended = violation ? Buffer.alloc(SHA256_BYTES, 0xff) : sha256(data);
  return { template, algorithm, fileDigest, path, signature, violation, extended };
}

function sized(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.length);
  return Buffer.concat([size, bytes]);
}

/** The template data of these fields: what the kernel hashed. */
export function templateData(
  fields: Pick<ImaRecord, 'template' | 'algorithm' | 'fileDigest' | 'signature'>,
  path: Uint8Array,
): Buffer {
  return Buffer.concat([
    sized(Buffer.from(`${fields.algorithm}:\0`, 'latin1'), fields.fileDigest),
    sized(path, Buffer.alloc(1)),
    ...(fields.template === 'ima-sig' ? [sized(fields.signature)] : []),
  ]);
}
