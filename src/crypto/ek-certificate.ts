// Whether a certificate speaks for an endorsement key: chain, validity, purpose, and the TPM it names.
import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { equalBytes, sha256 } from './digest.ts';
import { bytesOf, fromDer, oidOf, parts } from './der.ts';
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
}

function parse(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
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

function nextIssuer(
  subject: X509Certificate,
  roots: readonly X509Certificate[],
  middle: readonly X509Certificate[],
): { readonly certificate: X509Certificate; readonly root: boolean } | null {
  const root = roots.find((candidate) => issued(candidate, subject));
  if (root !== undefined) return { certificate: root, root: true };
  const step = middle.find((candidate) => candidate.ca && issued(candidate, subject));
  return step === undefined ? null : { certificate: step, root: false };
}

/**
 * Checks that `der` certifies `ekKey` under one of `roots`, through `intermediates`, at `now` (ms).
 * Roots are trusted as they are; only certificates below them must be in their validity.
 */
export function checkEkCertificate(
  der: Uint8Array,
  ekKey: KeyObject,
  trust: { readonly roots: readonly X509Certificate[]; readonly intermediates: readonly Uint8Array[] },
  now: number,
): EkCertificateCheck {
  const leaf = parse(der);
  if (leaf === null) return { faults: ['the EK certificate is not X.509'], chain: [], tpm: null };
  const faults: string[] = [];
  const chain = [leaf];
  const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
  if (!equalBytes(spki(leaf.publicKey), spki(ekKey))) faults.push('the EK certificate is for another key');
  if (leaf.ca) faults.push('the EK certificate is a CA certificate');
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.includes(EK_PURPOSE)) {
    faults.push(`the EK certificate's purpose is not ${EK_PURPOSE}`);
  }
  const middle = [...trust.roots, ...trust.intermediates.map(parse)].filter(
    (x) => x !== null && x.ca,
  ) as X509Certificate[];
  let anchored = false;
  for (let subject = leaf; !anchored && chain.length < MAX_CHAIN;) {
    if (now < Date.parse(subject.validFrom) || now > Date.parse(subject.validTo)) {
      faults.push(`${subject.subject || 'the EK certificate'} is outside its validity`);
    }
    const issuer = nextIssuer(subject, trust.roots, middle);
    if (issuer === null) break;
    chain.push(issuer.certificate);
    anchored = issuer.root;
    subject = issuer.certificate;
  }
  if (!anchored) faults.push('no chain to a trusted root');
  return {
    faults,
    chain: chain.map((certificate) => ({
      subject: certificate.subject,
      sha256: sha256(certificate.raw).toString('hex'),
    })),
    tpm: describe(leaf),
  };
}

/** Certificates of a PEM text. Errors: TypeError never; a block that is not X.509 is left out of the result and counted. */
export function certificatesOf(pem: string): { readonly certificates: X509Certificate[]; readonly broken: number } {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  const all = blocks.map((block) => parse(Buffer.from(block, 'utf8')));
  const certificates = all.filter((certificate) => certificate !== null);
  return { certificates, broken: all.length - certificates.length };
}
