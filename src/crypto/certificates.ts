// The broker's small public key infrastructure: a P-256 certificate authority, server and client certificates, requests.
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { WireError } from '../errors.ts';
import { bits, boolean, bytesOf, context, contextBytes, fromDer, integer, octets, oid, oidOf, parts } from './der.ts';
import { sequence, set, time, toDer, utf8 } from './der.ts';
import type { Asn1 } from './der.ts';
import { curveOf, importPublicKey, signEcdsa } from './ecdsa.ts';
import { sha256 } from './digest.ts';

const OID = {
  commonName: '2.5.4.3',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  crlNumber: '2.5.29.20',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const distinguished = (commonName: string): Asn1 => sequence(set(sequence(oid(OID.commonName), utf8(commonName))));
const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const keyIdentifier = (spki: Uint8Array): Buffer => sha256(spki).subarray(0, 20);
const algorithm = (): Asn1 => sequence(oid(OID.ecdsaSha256));

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(toDer(value)));
}

function pem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

function signed(tbs: Asn1, key: KeyObject): Buffer {
  if (curveOf(key).name !== 'p256') throw new RangeError('certificates here are signed with P-256');
  return toDer(sequence(tbs, algorithm(), bits(signEcdsa(key, toDer(tbs)))));
}

interface Subject {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
}

function certificate(subject: Subject, issuer: { commonName: string; key: KeyObject }, extensions: Asn1[]): string {
  const serial = randomBytes(16);
  serial.writeUInt8(serial.readUInt8(0) & 0x7f, 0);
  const tbs = sequence(
    context(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm(),
    distinguished(issuer.commonName),
    sequence(time(subject.notBefore), time(subject.notAfter)),
    distinguished(subject.commonName),
    fromDer(spkiOf(subject.publicKey)),
    context(3, sequence(...extensions)),
  );
  return pem('CERTIFICATE', signed(tbs, issuer.key));
}

/** A self-signed authority that may sign leaf certificates only. `key` is its private P-256 key. */
export function makeAuthority(commonName: string, key: KeyObject, notBefore: number, notAfter: number): string {
  const publicKey = createPublicKey(key);
  return certificate({ commonName, publicKey, notBefore, notAfter }, { commonName, key }, [
    extension(OID.basicConstraints, true, sequence(boolean(true), integer(Buffer.from([0])))),
    extension(OID.keyUsage, true, bits(Buffer.from([0x06]), 1)),
    extension(OID.subjectKeyId, false, octets(keyIdentifier(spkiOf(publicKey)))),
  ]);
}

/** Whom an issued certificate is for. */
export interface LeafRequest extends Subject {
  readonly use: 'server' | 'client';
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const middle = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => '0');
  const all = address.includes('::') ? [...groups(head), ...middle, ...groups(tail)] : groups(address);
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** A leaf certificate by the authority. PEM. */
export function issueCertificate(
  request: LeafRequest,
  authority: { readonly commonName: string; readonly key: KeyObject },
): string {
  const names = request.names.map((name) =>
    isIP(name) === 0 ? contextBytes(2, Buffer.from(name, 'latin1')) : contextBytes(7, addressBytes(name)),
  );
  const issuerId = keyIdentifier(spkiOf(createPublicKey(authority.key)));
  return certificate(request, authority, [
    extension(OID.basicConstraints, true, sequence()),
    extension(OID.keyUsage, true, bits(Buffer.from([0x80]), 7)),
    extension(OID.extKeyUsage, false, sequence(oid(request.use === 'server' ? OID.serverAuth : OID.clientAuth))),
    extension(OID.authorityKeyId, false, sequence(contextBytes(0, issuerId))),
    ...(names.length > 0 ? [extension(OID.subjectAltName, false, sequence(...names))] : []),
  ]);
}

/** What a revocation list says; times in ms since 1970. */
export interface RevocationList {
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Rises with each list. */
  readonly number: number;
  /** Serial numbers in hex, as node gives them; they count as taken back from `thisUpdate` on. */
  readonly revoked: readonly string[];
}

/** A certificate revocation list of the authority (RFC 5280, 5). PEM. */
export function makeRevocationList(
  { thisUpdate, nextUpdate, number, revoked }: RevocationList,
  authority: { readonly commonName: string; readonly key: KeyObject },
): string {
  const serial = (hex: string): Asn1 => integer(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
  const entries = revoked.map((one) => sequence(serial(one), time(thisUpdate)));
  const issuerId = keyIdentifier(spkiOf(createPublicKey(authority.key)));
  const extensions = sequence(
    extension(OID.authorityKeyId, false, sequence(contextBytes(0, issuerId))),
    extension(OID.crlNumber, false, serial(number.toString(16))),
  );
  const tbs = sequence(
    integer(Buffer.from([1])),
    algorithm(),
    distinguished(authority.commonName),
    time(thisUpdate),
    time(nextUpdate),
    // An empty list is left out (RFC 5280, 5.1.2.6).
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    context(0, extensions),
  );
  return pem('X509 CRL', signed(tbs, authority.key));
}

/** PKCS#10 in DER: a request for `commonName` that proves possession of `key`. */
export function makeRequest(commonName: string, key: KeyObject): Buffer {
  const spki = spkiOf(createPublicKey(key));
  const info = sequence(integer(Buffer.from([0])), distinguished(commonName), fromDer(spki), context(0));
  return signed(info, key);
}

/** Common name and key of a PKCS#10 request whose own signature is valid. Errors: WireError. */
export function readRequest(der: Uint8Array): { readonly commonName: string; readonly publicKey: KeyObject } {
  const refuse = (message: string): never => {
    throw new WireError('WIRE_MALFORMED', message, { field: 'request', offset: 0 });
  };
  const [info, signatureAlgorithm, signature] = parts(fromDer(der));
  const [, name, spki] = parts(info);
  if (info === undefined || spki === undefined) return refuse('not a certificate request');
  if (oidOf(parts(signatureAlgorithm)[0]) !== OID.ecdsaSha256) return refuse('not signed with ECDSA and SHA-256');
  const [attribute, ...moreNames] = parts(name).map((rdn) => parts(parts(rdn)[0]));
  if (attribute === undefined || moreNames.length > 0 || oidOf(attribute[0]) !== OID.commonName) {
    return refuse('the subject must be one common name');
  }
  const publicKey = importPublicKey(toDer(spki));
  if (!verify('sha256', toDer(info), publicKey, bytesOf(signature).subarray(1))) {
    return refuse('does not prove possession of its key');
  }
  return { commonName: bytesOf(attribute[1]).toString('utf8'), publicKey };
}
