// Certificates for tests, good and bad in one respect each: every part of one can be chosen.
import { randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sha256 } from '../../src/crypto/digest.ts';
import { bits, boolean, context, contextBytes, fromDer, integer, octets, oid } from '../../src/crypto/der.ts';
import { sequence, set, time, toDer, utf8 } from '../../src/crypto/der.ts';
import type { Asn1 } from '../../src/crypto/der.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';

export const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
export const SERVER = '1.3.6.1.5.5.7.3.1';
export const DIGITAL_SIGNATURE = 0x80;
export const CERT_SIGN = 0x04;

export interface TestIdentity {
  readonly name: string;
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

export interface CertificateChoices {
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** Bits of the first byte of the key usage; null: no such extension. */
  readonly keyUsage?: number | null;
  readonly purposes?: readonly string[];
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** OID of a critical extension that nobody knows. */
  readonly critical?: string;
  /** The hash under its signature. */
  readonly hash?: 'sha1' | 'sha256';
}

export function identity(name: string, curve: 'p256' | 'p384' = 'p256'): TestIdentity {
  return { name, keys: generateKey(curve) };
}

const nameOf = (text: string): Asn1 => sequence(set(sequence(oid('2.5.4.3'), utf8(text))));
const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const keyIdentifier = (key: KeyObject): Buffer => sha256(spki(key)).subarray(0, 20);

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(toDer(value)));
}

/** A certificate for `subject` by `issuer` (P-256), DER. */
export function certify(subject: TestIdentity, issuer: TestIdentity, choices: CertificateChoices = {}): Buffer {
  const { ca = false, pathLength, purposes, critical, keyUsage = ca ? CERT_SIGN : DIGITAL_SIGNATURE } = choices;
  const { notBefore = 0, notAfter = Date.UTC(2049, 0), hash = 'sha256' } = choices;
  const signature = sequence(oid(hash === 'sha256' ? '1.2.840.10045.4.3.2' : '1.2.840.10045.4.1'));
  const constraints = ca
    ? [boolean(true), ...(pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))])]
    : [];
  const extensions = [
    extension('2.5.29.19', true, sequence(...constraints)),
    extension('2.5.29.14', false, octets(keyIdentifier(subject.keys.publicKey))),
    extension('2.5.29.35', false, sequence(contextBytes(0, keyIdentifier(issuer.keys.publicKey)))),
    ...(keyUsage === null ? [] : [extension('2.5.29.15', true, bits(Buffer.from([keyUsage])))]),
    ...(purposes === undefined ? [] : [extension('2.5.29.37', false, sequence(...purposes.map((one) => oid(one))))]),
    ...(critical === undefined ? [] : [extension(critical, true, utf8('x'))]),
  ];
  const tbs = sequence(
    context(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    signature,
    nameOf(issuer.name),
    sequence(time(notBefore), time(notAfter)),
    nameOf(subject.name),
    fromDer(spki(subject.keys.publicKey)),
    context(3, sequence(...extensions)),
  );
  return toDer(sequence(tbs, signature, bits(sign(hash, toDer(tbs), issuer.keys.privateKey))));
}

export function toPem(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
}
