// Whether a certificate speaks for an endorsement key: chain, validity, purpose, and the TPM it names.
import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SIGNATURE_OIDS, tryLimits, tryLink, vouches } from './certificate-link.ts';
import type { Crl } from './crl.ts';
import { revocationOf } from './ek-revocation.ts';
import type { Revocation } from './ek-revocation.ts';
import { equalBytes, sha256 } from './digest.ts';
import { bytesOf, fromDer, oid, oidOf, parts, sequence, toDer } from './der.ts';
import type { Asn1 } from './der.ts';

/** tcg-kp-EKCertificate (TCG EK Credential Profile 2.5, 3.2.16). */
const EK_PURPOSE = '2.23.133.8.1';
const SUBJECT_ALT_NAME = '2.5.29.17';
const TPM_ATTRIBUTES = {
  manufacturer: '2.23.133.2.1',
  model: '2.23.133.2.2',
  version: '2.23.133.2.3',
} as const;
const MAX_CHAIN = 5;
/** As much of a name as an endorsement holds, in UTF-16 units. */
const MAX_SUBJECT = 512;

export interface TpmDescription {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
}

export interface EkCertificateCheck {
  /** Everything that is wrong, in words; empty when the certificate speaks for the key. */
  readonly faults: readonly string[];
  /** Leaf first, root last; as far as it could be built. */
  readonly chain: readonly { readonly subject: string; readonly sha256: string }[];
  readonly tpm: TpmDescription | null;
  readonly revocation: Revocation;
}

/** A certificate that says nothing. */
export const NO_REVOCATION: Revocation = { revoked: [], unusable: [], unanswered: [] };

/** What an operator trusts in the matter of endorsement keys. */
export interface EkTrust {
  readonly roots: readonly X509Certificate[];
  readonly intermediates: readonly Uint8Array[];
  readonly crls?: readonly Crl[];
}

function parse(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

/** Attribute values of the directory name in the subject alternative name, by OID. */
function alternativeNames(certificate: X509Certificate): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const [tbs] = parts(fromDer(certificate.raw));
  const extensions = parts(tbs).flatMap((part) => parts(part).flatMap((inner) => [inner, ...parts(inner)]));
  const alternative = extensions.find((extension) => oidOf(parts(extension)[0]) === SUBJECT_ALT_NAME);
  const value = parts(alternative).at(-1);
  if (value === undefined) return found;
  const walk = (tree: Asn1): void => {
    const [key, text] = parts(tree);
    const id = oidOf(key);
    if (id !== '') found.set(id, bytesOf(text).toString('utf8'));
    else for (const part of parts(tree)) walk(part);
  };
  walk(fromDer(bytesOf(value)));
  return found;
}

function describe(certificate: X509Certificate): TpmDescription | null {
  try {
    const names = alternativeNames(certificate);
    const text = (id: string): string => (names.get(id) ?? '').replace(/\p{Cc}/gu, '?').slice(0, 64);
    const manufacturer = text(TPM_ATTRIBUTES.manufacturer);
    if (manufacturer === '') return null;
    return { manufacturer, model: text(TPM_ATTRIBUTES.model), version: text(TPM_ATTRIBUTES.version) };
  } catch {
    return null;
  }
}

/** The TPM that a certificate names, whoever signed it; null where it names none. Never throws. */
export function tpmInCertificate(der: Uint8Array): TpmDescription | null {
  const certificate = parse(der);
  return certificate === null ? null : describe(certificate);
}

/** A way from the leaf towards a root, as far as it could be built. */
interface Way {
  /** Leaf first. */
  readonly chain: readonly X509Certificate[];
  /** Its last certificate is one of the roots. */
  readonly anchored: boolean;
}

function wayToRoot(leaf: X509Certificate, roots: readonly X509Certificate[], middle: readonly X509Certificate[]): Way {
  const chain = [leaf];
  for (let last = leaf; chain.length < MAX_CHAIN;) {
    const subject = last;
    const root = roots.find((candidate) => vouches(candidate, subject));
    if (root !== undefined) return { chain: [...chain, root], anchored: true };
    const next = middle.find((candidate) => candidate.ca && !chain.includes(candidate) && vouches(candidate, subject));
    if (next === undefined) break;
    chain.push(next);
    last = next;
  }
  return { chain, anchored: false };
}

/** Empty where there is none, as in many EK certificates: node then gives no string at all. */
const subjectOf = ({ subject }: { readonly subject?: string }): string => subject?.slice(0, MAX_SUBJECT) ?? '';
const nameOf = (certificate: X509Certificate): string => subjectOf(certificate) || 'the EK certificate';

const RSA = '1.2.840.113549.1.1.1';
/** Some vendors say of an RSA key that it is for OAEP alone (RFC 4055, 4.1): true of an EK, and OpenSSL reads no such key. */
const RSA_OAEP = '1.2.840.113549.1.1.7';
const NULL = Buffer.from([0x05, 0x00]);

/** The same key bits under the name of an ordinary RSA key; null when it is not such a one. */
function oaepSpkiOf(certificate: X509Certificate): Buffer | null {
  try {
    const [tbs] = parts(fromDer(certificate.raw));
    const spki = parts(tbs).find((part) => oidOf(parts(parts(part)[0])[0]) === RSA_OAEP);
    const [, key] = parts(spki);
    return key === undefined ? null : toDer(sequence(sequence(oid(RSA), fromDer(NULL)), key));
  } catch {
    return null;
  }
}

/** The key that a certificate speaks for, DER; null for one of a kind or in a form that nothing here can read. */
function spkiOf(certificate: X509Certificate): Buffer | null {
  try {
    return certificate.publicKey.export({ type: 'spki', format: 'der' });
  } catch {
    return oaepSpkiOf(certificate);
  }
}

/** What the checks look at. */
interface Asked extends Way {
  readonly leaf: X509Certificate;
  readonly ekKey: KeyObject;
  /** ms since 1970. */
  readonly now: number;
}

/** The certificates that are not trusted as they are: all but the root. */
function below({ chain, anchored }: Way): readonly X509Certificate[] {
  return chain.slice(0, anchored ? -1 : undefined);
}

/** A named question; it answers with what is wrong, in words. */
export interface EkCheck {
  readonly name: string;
  judge(asked: Asked): readonly string[];
}

/** Roots are trusted as they are: only what is below them must be in its validity and within path lengths. */
export const EK_CHECKS: readonly EkCheck[] = [
  {
    name: 'key',
    judge: ({ leaf, ekKey }) => {
      const certified = spkiOf(leaf);
      if (certified === null) return ['the EK certificate is for a key that cannot be read'];
      const same = equalBytes(certified, ekKey.export({ type: 'spki', format: 'der' }));
      return same ? [] : ['the EK certificate is for another key'];
    },
  },
  {
    // Whoever may sign certificates could sign one for a key of his own.
    name: 'not-authority',
    judge: ({ leaf }) => (leaf.ca ? ['the EK certificate is a CA certificate'] : []),
  },
  {
    // A vendor's root may also stand for web servers and firmware.
    name: 'purpose',
    judge: ({ leaf }) =>
      leaf.keyUsage === undefined || leaf.keyUsage.includes(EK_PURPOSE)
        ? []
        : [`the EK certificate's purpose is not ${EK_PURPOSE}`],
  },
  {
    // A key that its vendor made for signing receives no secrets; vendors of ECC keys differ in which of the two bits they set.
    name: 'key-usage',
    judge: ({ leaf }) =>
      (tryLimits(leaf)?.keyUsage ?? { receive: true }).receive
        ? []
        : ['the EK certificate is for a key that receives no secrets'],
  },
  {
    // What says that it must be understood may restrict what the certificate is for.
    name: 'critical-extension',
    judge: (way) =>
      below(way).flatMap((certificate) =>
        (tryLimits(certificate)?.unknownCritical ?? ['that cannot be read']).map(
          (id) => `${nameOf(certificate)} has a critical extension that is not known here: ${id}`,
        ),
      ),
  },
  {
    // A collision in SHA-1 or MD5 would carry another certificate under the same signature.
    name: 'signature-algorithm',
    judge: (way) =>
      below(way).flatMap((certificate) => {
        const algorithm = tryLimits(certificate)?.signatureOid ?? 'unknown';
        return SIGNATURE_OIDS.has(algorithm)
          ? []
          : [`${nameOf(certificate)} is signed with another algorithm: ${algorithm}`];
      }),
  },
  {
    name: 'validity',
    judge: ({ chain, anchored, now }) =>
      below({ chain, anchored })
        // A date that cannot be read is no date within.
        .filter(({ validFrom, validTo }) => !(now >= Date.parse(validFrom) && now <= Date.parse(validTo)))
        .map((certificate) => `${nameOf(certificate)} is outside its validity`),
  },
  {
    name: 'path-length',
    judge: ({ chain, anchored }) =>
      below({ chain, anchored })
        .filter((certificate, at) => at > 0 && at - 1 > (tryLink(certificate.raw)?.maxBelow ?? 0))
        .map((certificate) => `${nameOf(certificate)} may not have authorities below it`),
  },
  { name: 'root', judge: ({ anchored }) => (anchored ? [] : ['no chain to a trusted root']) },
];

/**
 * Checks that `der` certifies `ekKey` under one of `roots`, through `intermediates`, at `now` (ms). `checks`: all but in tests.
 * Never throws, whatever the bytes are.
 */
export function checkEkCertificate(
  der: Uint8Array,
  ekKey: KeyObject,
  trust: EkTrust,
  now: number,
  checks: readonly EkCheck[] = EK_CHECKS,
): EkCertificateCheck {
  const leaf = parse(der);
  if (leaf === null)
    return { faults: ['the EK certificate is not X.509'], chain: [], tpm: null, revocation: NO_REVOCATION };
  const middle = trust.intermediates.map(parse).filter((certificate) => certificate !== null);
  const way = wayToRoot(leaf, trust.roots, middle);
  return {
    faults: checks.flatMap((check) => check.judge({ ...way, leaf, ekKey, now })),
    chain: way.chain.map((certificate) => ({
      subject: subjectOf(certificate),
      sha256: sha256(certificate.raw).toString('hex'),
    })),
    tpm: describe(leaf),
    revocation: revocationOf(way.chain, trust.crls ?? [], now, nameOf),
  };
}

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/** Certificates of a PEM text. A block that is not X.509 is left out of the result and counted. Never throws. */
export function certificatesOf(pem: string): { readonly certificates: X509Certificate[]; readonly broken: number } {
  const all: (X509Certificate | null)[] = [];
  for (let from = pem.indexOf(BEGIN); from !== -1;) {
    const end = pem.indexOf(END, from);
    if (end === -1) break;
    all.push(parse(Buffer.from(pem.slice(from, end + END.length), 'utf8')));
    from = pem.indexOf(BEGIN, end);
  }
  const certificates = all.filter((certificate) => certificate !== null);
  return { certificates, broken: all.length - certificates.length };
}
