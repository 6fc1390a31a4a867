// What revocation lists say of the certificates between an endorsement key and a root.
import type { X509Certificate } from 'node:crypto';
import { tryLimits } from './certificate-link.ts';
import { comparableName } from './crl.ts';
import type { Crl } from './crl.ts';
import { derSequence, derValues, explicit } from './der-values.ts';
import type { DerValue } from './der-values.ts';
import { WireError } from '../errors.ts';

export interface Revocation {
  /** Certificates that their issuer has taken back, in words. */
  readonly revoked: readonly string[];
  /** Why a list that is there answers for nothing now: too old, too new, or of a kind that is not understood. */
  readonly unusable: readonly string[];
  /** Certificates for which no list answers now. */
  readonly unanswered: readonly string[];
}

const MAX_FIELDS = 16;
const iso = (ms: number): string => new Date(ms).toISOString();

/** Serial number (hex of its INTEGER) and issuer or subject of a certificate. Errors: WireError. */
function fieldsOf({ raw }: X509Certificate): { readonly serial: string; readonly subject: string } {
  const [whole] = derValues(raw, 1);
  const fields: DerValue[] = derSequence(derSequence(whole, 3)[0], MAX_FIELDS);
  // [0] version is there in every certificate that has extensions.
  if (fields[0]?.tag === explicit(0)) fields.shift();
  return { serial: fields[0]?.content.toString('hex') ?? '', subject: comparableName(fields[4]) };
}

/** Whether `issuer` made this list: by name, by signature, and allowed to where it says what its key is for. */
function isOf(crl: Crl, subject: string, issuer: X509Certificate): boolean {
  const usage = tryLimits(issuer)?.keyUsage;
  return crl.issuer === subject && usage?.signCrl !== false && crl.signedBy(issuer.publicKey);
}

/** Why this list answers for nothing at `now`; null when it does. */
function whyNot({ unusable, thisUpdate, nextUpdate }: Crl, now: number): string | null {
  if (unusable !== null) return unusable;
  if (now < thisUpdate) return `not before ${iso(thisUpdate)}`;
  if (nextUpdate === null) return 'it does not say until when it counts';
  return now > nextUpdate ? `it ran out at ${iso(nextUpdate)}` : null;
}

function judgeOne(
  certificate: X509Certificate,
  issuer: X509Certificate,
  isLeaf: boolean,
  crls: readonly Crl[],
  now: number,
): { readonly revoked: boolean; readonly unusable: readonly string[]; readonly answered: boolean } {
  const { serial } = fieldsOf(certificate);
  const { subject } = fieldsOf(issuer);
  const ours = crls.filter((crl) => crl.scope !== (isLeaf ? 'authorities' : 'leaves') && isOf(crl, subject, issuer));
  // What was once taken back does not come back because the list is old; only a list of other people's serials says nothing.
  const revoked = ours.some((crl) => crl.unusable === null && crl.revoked.has(serial));
  const reasons = ours.map((crl) => whyNot(crl, now));
  return {
    revoked,
    answered: reasons.includes(null),
    // An old list beside its successor is no fault.
    unusable: reasons.includes(null) ? [] : reasons.filter((reason) => reason !== null),
  };
}

/**
 * `chain`: leaf first, the last being the root, which is trusted as it is. `nameOf`: how a certificate is called for people. Never
 * throws: a certificate that cannot be read this closely is one that no list answers for.
 */
export function revocationOf(
  chain: readonly X509Certificate[],
  crls: readonly Crl[],
  now: number,
  nameOf: (certificate: X509Certificate) => string,
): Revocation {
  const revoked: string[] = [];
  const unusable: string[] = [];
  const unanswered: string[] = [];
  for (const [at, certificate] of chain.entries()) {
    const issuer = chain[at + 1];
    if (issuer === undefined) break;
    const name = nameOf(certificate);
    try {
      const judged = judgeOne(certificate, issuer, at === 0, crls, now);
      if (judged.revoked) revoked.push(`${name} is revoked by ${nameOf(issuer)}`);
      if (!judged.answered) unanswered.push(name);
      unusable.push(...judged.unusable.map((why) => `the list of ${nameOf(issuer)}: ${why}`));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      unanswered.push(name);
    }
  }
  return { revoked, unusable, unanswered };
}
