// Makes endorsement key certificates as TPM vendors do, and as attackers might: any field may be bent.
import { createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bits,
  boolean,
  context,
  fromDer,
  integer,
  octets,
  oid,
  sequence,
  set,
  time,
  toDer,
  utf8,
} from '../../src/crypto/der.ts';
import type { Asn1 } from '../../src/crypto/der.ts';

export interface CertificateFields {
  /** Empty for a name without any part. */
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly ca: boolean;
  /** How many authorities may be below; null does not say. */
  readonly pathLength: number | null;
  /** Extended key usages, dotted; none leaves the extension out. */
  readonly purposes: readonly string[];
  /** TPM manufacturer, model and version for the subject alternative name; null leaves it out. */
  readonly tpm: readonly [string, string, string] | null;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Further extensions. */
  readonly more: readonly Asn1[];
  /** SubjectPublicKeyInfo in DER, where it is not that of `publicKey`. */
  readonly spki: Uint8Array | null;
  readonly serial: Uint8Array;
  /** First octet of the key usage bits; null leaves the extension out. */
  readonly usage: number | null;
  /** Hash that is signed. */
  readonly hash: 'sha1' | 'sha256';
}

export const EK_PURPOSE = '2.23.133.8.1';
const ECDSA = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2' } as const;
const names = (text: string): Asn1 => (text === '' ? sequence() : sequence(set(sequence(oid('2.5.4.3'), utf8(text)))));

export const extension = (id: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(toDer(value)));

/** SAN with one directory name of three attributes (TCG EK Credential Profile, 3.2.9). */
export function tpmName([manufacturer, model, version]: readonly [string, string, string]): Asn1 {
  const attributes = [manufacturer, model, version].map((text, i) =>
    set(sequence(oid(`2.23.133.2.${i + 1}`), utf8(text))),
  );
  return extension('2.5.29.17', true, sequence(context(4, sequence(...attributes))));
}

/** A certificate authority of a test. */
export class Issuer {
  readonly name: string;
  readonly key: KeyObject;
  readonly certificate: X509Certificate;

  constructor(name: string, parent?: Issuer, change: Partial<CertificateFields> = {}) {
    this.name = name;
    this.key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const fields = {
      subject: name,
      publicKey: createPublicKey(this.key),
      ca: true,
      purposes: [],
      tpm: null,
      ...change,
    };
    this.certificate = new X509Certificate((parent ?? this).issue(fields));
  }

  /** DER. */
  issue(change: Partial<CertificateFields> & Pick<CertificateFields, 'publicKey'>): Buffer {
    const fields: CertificateFields = {
      subject: 'TPM',
      ca: false,
      pathLength: null,
      purposes: [EK_PURPOSE],
      tpm: ['id:54535400', 'model', 'id:00010002'],
      notBefore: Date.UTC(2020, 0, 1),
      notAfter: Date.UTC(2060, 0, 1),
      more: [],
      spki: null,
      serial: Buffer.from([1]),
      usage: change.ca === true ? 0x06 : null,
      hash: 'sha256',
      ...change,
    };
    const purposes =
      fields.purposes.length > 0 ? [extension('2.5.29.37', false, sequence(...fields.purposes.map(oid)))] : [];
    const length = fields.pathLength === null ? [] : [integer(Buffer.from([fields.pathLength]))];
    const constraints = extension('2.5.29.19', true, sequence(...(fields.ca ? [boolean(true)] : []), ...length));
    const usage = fields.usage === null ? [] : [extension('2.5.29.15', true, bits(Buffer.from([fields.usage]), 1))];
    const algorithm = sequence(oid(ECDSA[fields.hash]));
    const tpm = fields.tpm === null ? [] : [tpmName(fields.tpm)];
    const tbs = sequence(
      context(0, integer(Buffer.from([2]))),
      integer(fields.serial),
      algorithm,
      names(this.name),
      sequence(time(fields.notBefore), time(fields.notAfter)),
      names(fields.subject),
      fromDer(fields.spki ?? fields.publicKey.export({ type: 'spki', format: 'der' })),
      context(3, sequence(constraints, ...usage, ...purposes, ...tpm, ...fields.more)),
    );
    return toDer(sequence(tbs, algorithm, bits(sign(fields.hash, toDer(tbs), this.key))));
  }
}
