// Certificate revocation lists (RFC 5280, 5): read within bounds, and asked only for what they can speak for.
import { verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { WireError } from '../errors.ts';
import { DER, derSequence, derTime, derValues, explicit, implicit } from './der-values.ts';
import type { DerValue } from './der-values.ts';

/** Longest list that is read, in bytes and entries: those of TPM vendors have some kilobytes. */
export const MAX_CRL_BYTES: number = 8 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
const MAX_PARTS = 64;

/** Hex of the content of each OBJECT IDENTIFIER. */
const OID = {
  deltaIndicator: '551d1b',
  distributionPoint: '551d1c',
  number: '551d14',
  authorityKeyId: '551d23',
} as const;
const KNOWN: ReadonlySet<string> = new Set(Object.values(OID));

/** Signature algorithms by hex of their OID: no SHA-1, no MD5. */
const HASHES: ReadonlyMap<string, { readonly hash: string; readonly key: 'rsa' | 'ec' }> = new Map([
  ['2a864886f70d01010b', { hash: 'sha256', key: 'rsa' }],
  ['2a864886f70d01010c', { hash: 'sha384', key: 'rsa' }],
  ['2a864886f70d01010d', { hash: 'sha512', key: 'rsa' }],
  ['2a8648ce3d040302', { hash: 'sha256', key: 'ec' }],
  ['2a8648ce3d040303', { hash: 'sha384', key: 'ec' }],
  ['2a8648ce3d040304', { hash: 'sha512', key: 'ec' }],
]);

/** What a list speaks for: an issuing distribution point may leave out authorities or all others (RFC 5280, 5.2.5). */
export type CrlScope = 'all' | 'leaves' | 'authorities';

export interface Crl {
  /** Its issuer, as `comparableName` gives it. */
  readonly issuer: string;
  /** ms since 1970. */
  readonly thisUpdate: number;
  /** When the next one is due; null where it does not say, which RFC 5280 does not allow. */
  readonly nextUpdate: number | null;
  readonly scope: CrlScope;
  /** Why nothing can be learned from it, in words; null where it can be used. */
  readonly unusable: string | null;
  /** Serial numbers: hex of the INTEGER's content. */
  readonly revoked: ReadonlySet<string>;
  /** Whether `key` signed exactly these bytes. Never throws. */
  signedBy(key: KeyObject): boolean;
}

interface Extension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

function extensionsIn(value: DerValue): Extension[] {
  return derSequence(value, MAX_PARTS).map((one) => {
    const fields = derSequence(one, 3);
    const critical = fields[1]?.tag === DER.boolean && fields[1].content[0] !== 0;
    return { id: fields[0]?.content.toString('hex') ?? '', critical, value: fields.at(-1)?.content ?? Buffer.alloc(0) };
  });
}

/** Text of a name's attribute, whatever string type its writer chose; names are compared without case and double spaces. */
function nameText({ tag, content }: DerValue): string {
  const BMP_STRING = 0x1e;
  const text = tag === BMP_STRING ? Buffer.from(content).swap16().toString('utf16le') : content.toString('utf8');
  return text.toLowerCase().replaceAll(/\s+/g, ' ').trim();
}

/** A distinguished name as text that is equal for equal names (RFC 5280, 7.1). Errors: WireError for what is none. */
export function comparableName(name: DerValue | undefined): string {
  const parts = derSequence(name, MAX_PARTS).flatMap((rdn) =>
    derValues(rdn.content, MAX_PARTS).map((attribute) => {
      const [id, value] = derSequence(attribute, 2);
      if (id === undefined || value === undefined || (value.tag === 0x1e && value.content.length % 2 === 1)) {
        throw new WireError('WIRE_MALFORMED', 'a name with half an attribute', { field: 'name', offset: 0 });
      }
      return [id.content.toString('hex'), nameText(value)];
    }),
  );
  return JSON.stringify(parts);
}

/** What an issuing distribution point restricts. */
function pointLimits(value: Buffer): Pick<Crl, 'scope' | 'unusable'> {
  const fields = derSequence(derValues(value, 1)[0], MAX_PARTS);
  const says = (n: number): boolean => fields.some((one) => one.tag === implicit(n) && one.content[0] !== 0);
  const [leaves, authorities, indirect, attributes] = [1, 2, 4, 5].map(says);
  const someReasons = fields.some((one) => one.tag === implicit(3));
  const unusable = indirect
    ? 'an indirect list'
    : someReasons
      ? 'a list of some reasons only'
      : attributes
        ? 'a list of attribute certificates'
        : null;
  return { scope: leaves ? 'leaves' : authorities ? 'authorities' : 'all', unusable };
}

function limitsOf(extensions: readonly Extension[]): Pick<Crl, 'scope' | 'unusable'> {
  const has = (id: string): Extension | undefined => extensions.find((one) => one.id === id);
  const point = has(OID.distributionPoint);
  const limits = point === undefined ? { scope: 'all' as const, unusable: null } : pointLimits(point.value);
  const unknown = extensions.find(({ id, critical }) => critical && !KNOWN.has(id));
  if (has(OID.deltaIndicator) !== undefined) return { ...limits, unusable: 'a list of changes only' };
  if (unknown === undefined) return limits;
  return { ...limits, unusable: `a critical extension that is not known here (${unknown.id})` };
}

/** The serial numbers in revokedCertificates. A certificate on hold is on the list too. */
function serialsIn(entries: DerValue): Set<string> {
  const revoked = new Set<string>();
  for (const entry of derSequence(entries, MAX_ENTRIES)) {
    const [serial, at] = derSequence(entry, 3);
    if (serial?.tag !== DER.integer || at === undefined) {
      throw new WireError('WIRE_MALFORMED', 'an entry without serial number', { field: 'crl', offset: 0 });
    }
    revoked.add(serial.content.toString('hex'));
  }
  return revoked;
}

/** The fields of a TBSCertList after its version, in order (RFC 5280, 5.1). */
function readList(tbs: DerValue): Omit<Crl, 'signedBy'> & { readonly algorithm: Buffer } {
  const fields = derSequence(tbs, 8);
  if (fields[0]?.tag === DER.integer) fields.shift();
  const [algorithm, issuer, thisUpdate, ...rest] = fields;
  if (algorithm === undefined || thisUpdate === undefined) {
    throw new WireError('WIRE_MALFORMED', 'no certificate revocation list', { field: 'crl', offset: 0 });
  }
  const isTime = ({ tag }: DerValue): boolean => tag === DER.utcTime || tag === DER.generalizedTime;
  const nextUpdate = rest[0] !== undefined && isTime(rest[0]) ? derTime(rest[0]) : null;
  if (nextUpdate !== null) rest.shift();
  const revoked = rest[0]?.tag === DER.sequence ? serialsIn(rest[0]) : new Set<string>();
  if (rest[0]?.tag === DER.sequence) rest.shift();
  const extensions = rest[0]?.tag === explicit(0) ? extensionsIn(derValues(rest[0].content, 1)[0] ?? rest[0]) : [];
  if (rest[0]?.tag === explicit(0)) rest.shift();
  if (rest.length > 0) throw new WireError('WIRE_TRAILING', 'more than a list has', { field: 'crl', offset: 0 });
  return {
    algorithm: algorithm.bytes,
    issuer: comparableName(issuer),
    thisUpdate: derTime(thisUpdate),
    nextUpdate,
    revoked,
    ...limitsOf(extensions),
  };
}

/** Reads a list in DER. Nothing in it counts before the signature was checked. Errors: WireError. */
export function readCrl(der: Buffer): Crl {
  if (der.length > MAX_CRL_BYTES) {
    throw new WireError('WIRE_RANGE', `longer than ${MAX_CRL_BYTES} bytes`, { field: 'crl', offset: 0 });
  }
  const [list] = derValues(der, 1);
  const [tbs, algorithm, signature] = derSequence(list, 3);
  if (tbs === undefined || algorithm === undefined || signature?.tag !== DER.bitString) {
    throw new WireError('WIRE_MALFORMED', 'no certificate revocation list', { field: 'crl', offset: 0 });
  }
  const { algorithm: inner, ...read } = readList(tbs);
  const by = HASHES.get(derSequence(algorithm, 2)[0]?.content.toString('hex') ?? '');
  const signedBy = (key: KeyObject): boolean => {
    // The algorithm is written twice, and only one of the two is signed.
    if (by === undefined || by.key !== key.asymmetricKeyType || !algorithm.bytes.equals(inner)) return false;
    try {
      return signature.content[0] === 0 && verify(by.hash, tbs.bytes, key, signature.content.subarray(1));
    } catch {
      return false;
    }
  };
  return { ...read, signedBy };
}

const BEGIN = '-----BEGIN X509 CRL-----';
const END = '-----END X509 CRL-----';

/** The lists in a file: one in DER, or any number in PEM. Errors: WireError. */
export function readCrlFile(bytes: Buffer): Crl[] {
  if (bytes[0] === DER.sequence) return [readCrl(bytes)];
  const text = bytes.toString('latin1');
  const lists: Crl[] = [];
  for (let from = text.indexOf(BEGIN); from !== -1;) {
    const end = text.indexOf(END, from);
    if (end === -1) break;
    lists.push(readCrl(Buffer.from(text.slice(from + BEGIN.length, end), 'base64')));
    from = text.indexOf(BEGIN, end);
  }
  if (lists.length === 0) throw new WireError('WIRE_MALFORMED', 'no list in it', { field: 'crl', offset: 0 });
  return lists;
}
