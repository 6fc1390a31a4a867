// What is asked of every certificate between a signature and a root, as an ordered list of named checks.
import { SIGNATURE_OIDS } from './certificate-link.ts';
import type { Link } from './certificate-link.ts';

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/** `chain`: it leads nowhere, or a link does not hold; `validity`: too early or too late; `purpose`: not meant for this. */
export interface ChainFault {
  readonly kind: 'chain' | 'validity' | 'purpose';
  readonly expected: string;
  readonly found: string;
}

const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : 'no date');

/** One certificate of a way to a root: the leaf is `at` 0. */
interface Stop {
  readonly link: Link;
  readonly at: number;
  readonly path: readonly Link[];
  /** ms since 1970. */
  readonly now: number;
}

/** A named question to every certificate of a chain; null when it has nothing to say. */
export interface ChainCheck {
  readonly name: string;
  judge(stop: Stop): ChainFault | null;
}

export const CHAIN_CHECKS: readonly ChainCheck[] = [
  {
    name: 'validity',
    judge: ({ link: { certificate, name }, now }) => {
      const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
      if (now >= from && now <= to) return null;
      return { kind: 'validity', expected: `${name} valid at ${iso(now)}`, found: `${iso(from)} to ${iso(to)}` };
    },
  },
  {
    // What says that it must be understood may restrict what the certificate is for.
    name: 'critical-extension',
    judge: ({ link: { name, unknownCritical } }) =>
      unknownCritical.length === 0
        ? null
        : {
            kind: 'chain',
            expected: `${name} without critical extensions unknown here`,
            found: unknownCritical.join(', '),
          },
  },
  {
    name: 'path-length',
    judge: ({ link: { name, maxBelow }, at }) =>
      at - 1 <= maxBelow
        ? null
        : {
            kind: 'chain',
            expected: `${name} within its path length`,
            found: `${at - 1} authorities below it, at most ${maxBelow}`,
          },
  },
  {
    // A collision in SHA-1 or MD5 would carry another certificate under the same signature.
    name: 'signature-algorithm',
    judge: ({ link: { name, signatureOid }, at, path }) =>
      at === path.length - 1 || SIGNATURE_OIDS.has(signatureOid)
        ? null
        : { kind: 'chain', expected: `${name} signed with SHA-2`, found: `algorithm ${signatureOid}` },
  },
  {
    name: 'may-sign',
    judge: ({ link: { certificate, name, keyUsage }, at }) => {
      if (at > 0) return null;
      const expected = `${name} may make digital signatures`;
      if (keyUsage?.sign === false) return { kind: 'purpose', expected, found: 'its key usage does not say so' };
      if (keyUsage !== null || certificate.keyUsage !== undefined) return null;
      return { kind: 'purpose', expected, found: 'it does not say what it is for' };
    },
  },
  {
    // The certificate of a web server signs no models.
    name: 'code-signing',
    judge: ({ link: { certificate, name }, at }) => {
      const purposes = certificate.keyUsage;
      if (at > 0 || purposes === undefined || purposes.includes(CODE_SIGNING)) return null;
      return {
        kind: 'purpose',
        expected: `${name} is for code signing (${CODE_SIGNING})`,
        found: purposes.join(', '),
      };
    },
  },
];
