// Whether a certificate may speak for a signature over files: a chain to a root the caller named, validity, purpose.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { tryLink, vouches } from './certificate-link.ts';
import type { Link } from './certificate-link.ts';
import { CHAIN_CHECKS } from './chain-checks.ts';
import type { ChainCheck, ChainFault } from './chain-checks.ts';
import { curveOf } from './ecdsa.ts';

const MAX_CHAIN = 8;
const MAX_GIVEN = 64;
export interface SigningChain {
  readonly faults: readonly ChainFault[];
  /** The key of the certificate that signed; null where it is none that may sign. */
  readonly key: KeyObject | null;
  /** Leaf first, as far as it could be built. */
  readonly path: readonly { readonly subject: string; readonly sha256: string }[];
}

/**
 * All ways on from `path`'s last certificate to a root. Names may repeat along a way, certificates may not; what signed itself and
 * is no root is never on one, so that the few certificates which a stranger may send cannot make this long.
 */
function* waysToRoot(
  path: readonly Link[],
  roots: readonly Link[],
  middle: readonly Link[],
): Generator<readonly Link[]> {
  const last = path.at(-1);
  if (last === undefined || path.length > MAX_CHAIN) return;
  if (roots.some((root) => root.id === last.id)) {
    yield path;
    return;
  }
  for (const next of [...roots, ...middle]) {
    if (!next.certificate.ca || path.some((link) => link.id === next.id)) continue;
    if (vouches(next.certificate, last.certificate)) yield* waysToRoot([...path, next], roots, middle);
  }
}

/** The key of a certificate, or the name of its kind where it is none of ours. */
function signingKey({ certificate }: Link): KeyObject | string {
  let kind = 'unknown';
  try {
    const key = certificate.publicKey;
    kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? kind;
    curveOf(key);
    return key;
  } catch {
    return kind;
  }
}

/**
 * Judges the chain of a signature (DER, leaf first) by the certificates that the caller gave. Those of them that signed themselves
 * are its roots, and nothing else is: never the roots of the operating system. Whether names repeat along the chain means nothing.
 * `now`: ms since 1970. `checks`: all but in tests. Never throws, whatever the bytes are.
 */
export function checkSigningChain(
  chain: readonly Uint8Array[],
  given: readonly X509Certificate[],
  now: number,
  checks: readonly ChainCheck[] = CHAIN_CHECKS,
): SigningChain {
  const [leaf = null, ...sent] = chain.slice(0, MAX_CHAIN).map((der) => tryLink(der));
  const fail = (kind: ChainFault['kind'], expected: string, found: string): SigningChain => ({
    faults: [{ kind, expected, found }],
    key: null,
    path: leaf === null ? [] : [{ subject: leaf.name, sha256: leaf.id }],
  });
  if (leaf === null) return fail('chain', 'a certificate that signed', 'something that is no X.509 certificate');
  const key = signingKey(leaf);
  if (typeof key === 'string') {
    return fail('purpose', `${leaf.name} with an ECDSA key on P-256, P-384 or P-521`, `a key of kind ${key}`);
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
  for (const path of waysToRoot([leaf], roots, middle)) {
    const faults = path.flatMap((link, at) => checks.flatMap((check) => check.judge({ link, at, path, now }) ?? []));
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
