// Whether a certificate may speak for a signature over files: a chain to a root the caller named, validity, purpose.
import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sha256 } from './digest.ts';
import { bytesOf, fromDer, oidOf, parts } from './der.ts';
import type { Asn1 } from './der.ts';
import { curveOf } from './ecdsa.ts';

const MAX_CHAIN = 8;
const MAX_GIVEN = 64;
/** Links tried in all: who sends certificates that all vouch for each other does not get to choose how long this takes. */
const MAX_TRIES = 1024;
/** [3] EXPLICIT in a TBSCertificate (RFC 5280, 4.1). */
const CONTEXT_SPECIFIC = 0x80;
const EXTENSIONS = 3;
const OID = {
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  codeSigning: '1.3.6.1.5.5.7.3.3',
} as const;

/** Extensions that this code acts on, or that may be critical without changing what it decides (RFC 5280, 4.2). */
const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.basicConstraints,
  '2.5.29.14',
  '2.5.29.17',
  '2.5.29.32',
  '2.5.29.35',
  '2.5.29.37',
]);

/** Signatures by which one certificate may vouch for another: no SHA-1, no MD5. */
const SIGNATURE_OIDS: ReadonlySet<string> = new Set([
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
]);

/** `chain`: it leads nowhere, or a link does not hold; `validity`: too early or too late; `purpose`: not meant for this. */
export interface ChainFault {
  readonly kind: 'chain' | 'validity' | 'purpose';
  readonly expected: string;
  readonly found: string;
}

export interface SigningChain {
  readonly faults: readonly ChainFault[];
  /** The key of the certificate that signed; null where it is none that may sign. */
  readonly key: KeyObject | null;
  /** Leaf first, as far as it could be built. */
  readonly path: readonly { readonly subject: string; readonly sha256: string }[];
}

/** What is read once of a certificate. */
interface Link {
  readonly certificate: X509Certificate;
  readonly id: string;
  readonly name: string;
  readonly selfSigned: boolean;
  /** null: no such extension, so no restriction. */
  readonly keyUsage: { readonly sign: boolean; readonly certSign: boolean } | null;
  readonly maxBelow: number;
  readonly unknownCritical: readonly string[];
  readonly signatureOid: string;
}

function vouches(issuer: X509Certificate, subject: X509Certificate): boolean {
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

function readLink(certificate: X509Certificate): Link {
  const [tbs, algorithm] = parts(fromDer(certificate.raw));
  const extensions = extensionsOf(tbs);
  const usage = extensions.get(OID.keyUsage)?.value;
  // BIT STRING: the first byte counts unused bits; bit 0 is digitalSignature, bit 5 keyCertSign.
  const usageBits = usage === undefined ? null : (bytesOf(fromDer(usage))[1] ?? 0);
  const constraints = extensions.get(OID.basicConstraints)?.value;
  const pathLength = constraints === undefined ? undefined : parts(fromDer(constraints))[1];
  return {
    certificate,
    id: sha256(certificate.raw).toString('hex'),
    name: certificate.subject.replaceAll('\n', ', ') || 'a certificate without a name',
    selfSigned: vouches(certificate, certificate),
    keyUsage: usageBits === null ? null : { sign: (usageBits & 0x80) !== 0, certSign: (usageBits & 0x04) !== 0 },
    maxBelow: pathLength === undefined ? MAX_CHAIN : bytesOf(pathLength).readUIntBE(0, bytesOf(pathLength).length),
    unknownCritical: [...extensions].flatMap(([oid, { critical }]) =>
      critical && !KNOWN_EXTENSIONS.has(oid) ? [oid] : [],
    ),
    signatureOid: oidOf(parts(algorithm)[0]),
  };
}

function tryLink(der: Uint8Array): Link | null {
  try {
    return readLink(new X509Certificate(der));
  } catch {
    return null;
  }
}

/** The ways from a leaf to a root; one search over what was sent and given. */
class Search {
  readonly #roots: readonly Link[];
  readonly #issuers: readonly Link[];
  #tries = 0;

  constructor(roots: readonly Link[], middle: readonly Link[]) {
    this.#roots = roots;
    this.#issuers = [...roots, ...middle].filter((link) => link.certificate.ca);
  }

  /** All ways on from `path`'s last certificate. Names may repeat along a way, certificates may not. */
  *ways(path: readonly Link[]): Generator<readonly Link[]> {
    const last = path.at(-1);
    if (last === undefined || path.length > MAX_CHAIN) return;
    if (this.#roots.some((root) => root.id === last.id)) {
      yield path;
      return;
    }
    for (const next of this.#issuers) {
      if (path.some((link) => link.id === next.id)) continue;
      if (++this.#tries > MAX_TRIES) return;
      if (vouches(next.certificate, last.certificate)) yield* this.ways([...path, next]);
    }
  }
}

const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : 'no date');

function linkFaults(link: Link, at: number, path: readonly Link[], now: number): ChainFault[] {
  const faults: ChainFault[] = [];
  const { certificate, name } = link;
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (!(now >= from && now <= to)) {
    faults.push({ kind: 'validity', expected: `${name} valid at ${iso(now)}`, found: `${iso(from)} to ${iso(to)}` });
  }
  for (const oid of link.unknownCritical) {
    faults.push({ kind: 'chain', expected: `${name} without critical extensions unknown here`, found: oid });
  }
  if (at > 0 && link.keyUsage?.certSign === false) {
    faults.push({ kind: 'purpose', expected: `${name} may sign certificates`, found: 'its key usage does not say so' });
  }
  if (at > 0 && at - 1 > link.maxBelow) {
    const found = `${at - 1} authorities below it, at most ${link.maxBelow}`;
    faults.push({ kind: 'chain', expected: `${name} within its path length`, found });
  }
  if (at < path.length - 1 && !SIGNATURE_OIDS.has(link.signatureOid)) {
    faults.push({ kind: 'chain', expected: `${name} signed with SHA-2`, found: `algorithm ${link.signatureOid}` });
  }
  return faults;
}

/** Key usage digitalSignature; and code signing where an extended usage is given: a web server's certificate signs no models. */
function leafFaults({ certificate, name, keyUsage }: Link): ChainFault[] {
  const faults: ChainFault[] = [];
  const purposes = certificate.keyUsage;
  if (keyUsage?.sign === false) {
    const found = 'its key usage does not say so';
    faults.push({ kind: 'purpose', expected: `${name} may make digital signatures`, found });
  }
  if (purposes !== undefined && !purposes.includes(OID.codeSigning)) {
    const expected = `${name} is for code signing (${OID.codeSigning})`;
    faults.push({ kind: 'purpose', expected, found: purposes.join(', ') });
  }
  if (keyUsage === null && purposes === undefined) {
    faults.push({ kind: 'purpose', expected: `${name} says what it is for`, found: 'no key usage at all' });
  }
  return faults;
}

function signingKey(link: Link): KeyObject | null {
  try {
    const key = link.certificate.publicKey;
    curveOf(key);
    return key;
  } catch {
    return null;
  }
}

/**
 * Judges the chain of a signature (DER, leaf first) by the certificates that the caller gave. Those of them that signed themselves
 * are its roots, and nothing else is: never the roots of the operating system. Whether names repeat along the chain means nothing.
 * `now`: ms since 1970. Never throws, whatever the bytes are.
 */
export function checkSigningChain(
  chain: readonly Uint8Array[],
  given: readonly X509Certificate[],
  now: number,
): SigningChain {
  const [leaf = null, ...sent] = chain.slice(0, MAX_CHAIN).map((der) => tryLink(der));
  const fail = (kind: ChainFault['kind'], expected: string, found: string): SigningChain => ({
    faults: [{ kind, expected, found }],
    key: null,
    path: leaf === null ? [] : [{ subject: leaf.name, sha256: leaf.id }],
  });
  if (leaf === null) return fail('chain', 'a certificate that signed', 'something that is no X.509 certificate');
  const key = signingKey(leaf);
  if (key === null) {
    const kind = leaf.certificate.publicKey.asymmetricKeyType ?? 'unknown';
    return fail('purpose', `${leaf.name} with an ECDSA key on P-256, P-384 or P-521`, `a key of kind ${kind}`);
  }
  const links = given.slice(0, MAX_GIVEN).flatMap((certificate) => tryLink(certificate.raw) ?? []);
  const roots = links.filter((link) => link.selfSigned);
  if (roots.length === 0) {
    return fail(
      'chain',
      'a root, which signs itself, among the given certificates',
      `${links.length} certificates, no root`,
    );
  }
  const middle = [...sent, ...links].filter((link) => link !== null && !link.selfSigned) as Link[];
  let best: { path: readonly Link[]; faults: readonly ChainFault[] } | null = null;
  for (const path of new Search(roots, middle).ways([leaf])) {
    const faults = [...path.flatMap((link, at) => linkFaults(link, at, path, now)), ...leafFaults(leaf)];
    if (best === null || faults.length < best.faults.length) best = { path, faults };
    if (faults.length === 0) break;
  }
  if (best === null) {
    const names = roots.map((root) => root.name).join('; ');
    const issuer = leaf.certificate.issuer.replaceAll('\n', ', ');
    return fail('chain', `${leaf.name} leads to one of: ${names}`, `no way; its issuer is called ${issuer}`);
  }
  return {
    faults: best.faults,
    key,
    path: best.path.map((link) => ({ subject: link.name, sha256: link.id })),
  };
}
