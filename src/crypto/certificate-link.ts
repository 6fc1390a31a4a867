// What is read once of an X.509 certificate before it may be a link of a chain.
import { X509Certificate } from 'node:crypto';
import { sha256 } from './digest.ts';
import { bytesOf, fromDer, oidOf, parts } from './der.ts';
import type { Asn1 } from './der.ts';

const KEY_USAGE = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
/** [3] EXPLICIT in a TBSCertificate (RFC 5280, 4.1). */
const CONTEXT_SPECIFIC = 0x80;
const EXTENSIONS = 3;

/** Extensions that this code acts on, or that may be critical without changing what it decides (RFC 5280, 4.2). */
const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  KEY_USAGE,
  BASIC_CONSTRAINTS,
  '2.5.29.14',
  '2.5.29.17',
  '2.5.29.32',
  '2.5.29.35',
  '2.5.29.37',
]);

/** Signatures by which one certificate may vouch for another: no SHA-1, no MD5. */
export const SIGNATURE_OIDS: ReadonlySet<string> = new Set([
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
]);

/** No restriction by basic constraints. */
const UNBOUNDED = 255;

/** What a certificate says of its use. */
export interface Limits {
  /** null: no such extension, so no restriction. */
  readonly keyUsage: {
    readonly sign: boolean;
    readonly signCrl: boolean;
    /** Key encipherment or key agreement: somebody may send its owner a secret. */
    readonly receive: boolean;
  } | null;
  readonly maxBelow: number;
  readonly unknownCritical: readonly string[];
  readonly signatureOid: string;
}

/** What is read once of a certificate. */
export interface Link extends Limits {
  readonly certificate: X509Certificate;
  readonly id: string;
  readonly name: string;
  readonly selfSigned: boolean;
}

/** Whether `subject` names `issuer`, carries its signature, and `issuer`'s key usage, if any, lets it sign certificates. */
export function vouches(issuer: X509Certificate, subject: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** The extensions of a certificate: OID → critical and value (RFC 5280, 4.1). */
function extensionsOf(tbs: Asn1 | undefined): Map<string, { critical: boolean; value: Buffer }> {
  const found = new Map<string, { critical: boolean; value: Buffer }>();
  for (const part of parts(tbs)) {
    if ((part.tagClass as number) !== CONTEXT_SPECIFIC || (part.type as number) !== EXTENSIONS) continue;
    for (const extension of parts(parts(part)[0])) {
      const fields = parts(extension);
      const critical = fields.length === 3 && bytesOf(fields[1])[0] === 0xff;
      found.set(oidOf(fields[0]), { critical, value: bytesOf(fields.at(-1)) });
    }
  }
  return found;
}

function readLimits(certificate: X509Certificate): Limits {
  const [tbs, algorithm] = parts(fromDer(certificate.raw));
  const extensions = extensionsOf(tbs);
  const usage = extensions.get(KEY_USAGE)?.value;
  // BIT STRING: the first byte counts unused bits; bit 0 is digitalSignature. Node asks for keyCertSign itself.
  const usageBits = usage === undefined ? null : (bytesOf(fromDer(usage))[1] ?? 0);
  const constraints = extensions.get(BASIC_CONSTRAINTS)?.value;
  const pathLength = constraints === undefined ? undefined : parts(fromDer(constraints))[1];
  return {
    keyUsage:
      usageBits === null
        ? null
        : { sign: (usageBits & 0x80) !== 0, signCrl: (usageBits & 0x02) !== 0, receive: (usageBits & 0x28) !== 0 },
    maxBelow: pathLength === undefined ? UNBOUNDED : bytesOf(pathLength).readUIntBE(0, bytesOf(pathLength).length),
    unknownCritical: [...extensions].flatMap(([oid, { critical }]) =>
      critical && !KNOWN_EXTENSIONS.has(oid) ? [oid] : [],
    ),
    signatureOid: oidOf(parts(algorithm)[0]),
  };
}

/** Null for what cannot be read; a name is not asked for. */
export function tryLimits(certificate: X509Certificate): Limits | null {
  try {
    return readLimits(certificate);
  } catch {
    return null;
  }
}

function readLink(certificate: X509Certificate): Link {
  return {
    ...readLimits(certificate),
    certificate,
    id: sha256(certificate.raw).toString('hex'),
    name: certificate.subject.replaceAll('\n', ', ') || 'a certificate without a name',
    selfSigned: vouches(certificate, certificate),
  };
}

/** Null for what is no X.509 certificate. */
export function tryLink(der: Uint8Array): Link | null {
  try {
    return readLink(new X509Certificate(der));
  } catch {
    return null;
  }
}
