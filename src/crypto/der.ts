// DER trees through node-forge: the little of X.509 and PKCS#10 that node:crypto reads but does not write.
import forge from 'node-forge';
import { WireError } from '../errors.ts';

export type Asn1 = forge.asn1.Asn1;

const { asn1 } = forge;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const { Type } = asn1;

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- a context tag is any number
const tag = (n: number): forge.asn1.Type => n;

export function sequence(...content: readonly Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, Type.SEQUENCE, true, [...content]);
}

export function set(...content: readonly Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, Type.SET, true, [...content]);
}

/** [n] EXPLICIT or constructed. */
export function context(n: number, ...content: readonly Asn1[]): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, tag(n), true, [...content]);
}

/** [n] IMPLICIT primitive. */
export function contextBytes(n: number, bytes: Uint8Array): Asn1 {
  return asn1.create(CONTEXT_SPECIFIC, tag(n), false, binary(bytes));
}

export function oid(dotted: string): Asn1 {
  return asn1.create(UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Asn1 {
  const padded = ((bytes[0] ?? 0) & 0x80) !== 0 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
  return asn1.create(UNIVERSAL, Type.INTEGER, false, binary(padded));
}

export function boolean(value: boolean): Asn1 {
  return asn1.create(UNIVERSAL, Type.BOOLEAN, false, value ? '\xff' : '\x00');
}

export function octets(bytes: Uint8Array): Asn1 {
  return asn1.create(UNIVERSAL, Type.OCTETSTRING, false, binary(bytes));
}

/** A BIT STRING with `unused` unused bits at its end. */
export function bits(bytes: Uint8Array, unused = 0): Asn1 {
  return asn1.create(UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unused) + binary(bytes));
}

export function utf8(text: string): Asn1 {
  return asn1.create(UNIVERSAL, Type.UTF8, false, binary(Buffer.from(text, 'utf8')));
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
export function time(ms: number): Asn1 {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

export function toDer(tree: Asn1): Buffer {
  return Buffer.from(asn1.toDer(tree).getBytes(), 'latin1');
}

/** Errors: WireError for anything that is not one DER value. */
export function fromDer(der: Uint8Array): Asn1 {
  try {
    // decodeBitStrings off: a key or signature inside a bit string stays bytes. (The types know only the older form.)
    const options = { strict: true, parseAllBytes: true, decodeBitStrings: false } as unknown as boolean;
    return asn1.fromDer(binary(der), options);
  } catch (cause) {
    throw new WireError('WIRE_MALFORMED', 'not DER', { field: 'der', offset: 0 }, { cause });
  }
}

/** The parts of a constructed value; none for a primitive one. */
export function parts(tree: Asn1 | undefined): readonly Asn1[] {
  return tree !== undefined && Array.isArray(tree.value) ? tree.value : [];
}

/** The bytes of a primitive value; none for a constructed one. */
export function bytesOf(tree: Asn1 | undefined): Buffer {
  return tree !== undefined && typeof tree.value === 'string' ? Buffer.from(tree.value, 'latin1') : Buffer.alloc(0);
}

/** The dotted form of an OID; empty for anything else, an OID with a number beyond 2^53 among it: nobody here knows such a one. */
export function oidOf(tree: Asn1 | undefined): string {
  if (tree?.type !== Type.OID || typeof tree.value !== 'string') return '';
  try {
    return asn1.derToOid(tree.value);
  } catch {
    return '';
  }
}
