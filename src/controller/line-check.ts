// What a station finds of the devices that went over its line: whose EK certificate a vendor stands by, who comes twice, who must not pass.
import { toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { checkEkCertificate } from '../crypto/ek-certificate.ts';
import type { BatchEntry } from '../release/batch.ts';
import { objectName } from '../tpm/wire/names.ts';
import { publicKeyOf } from '../tpm/wire/public-key.ts';
import type { OperatorsEkTrust } from './ek-trust.ts';
import type { LineEntry } from './line-list.ts';
import { saysSoftware } from './newcomer.ts';

/** An entry with the file that it stands in. */
export interface PlacedEntry extends LineEntry {
  readonly file: string;
}

export interface PlacedFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface LineTerms {
  readonly trust: OperatorsEkTrust;
  /** ms since 1970. */
  readonly now: number;
  /** Keys without a certificate that counts are taken too. */
  readonly uncertified: boolean;
  /** No certificate counts for which no revocation list answers. */
  readonly crlsDemanded: boolean;
}

/** What is wrong with a certificate; null when it speaks for the key. */
function certificateFault(
  { ek, certificate, chain }: LineEntry,
  terms: LineTerms,
): { why: string; revoked: boolean } | null {
  if (certificate === null) return { why: 'it has no EK certificate', revoked: false };
  const { hardware, intermediates, crls } = terms.trust;
  const trust = { roots: hardware, intermediates: [...intermediates, ...chain], crls };
  const checked = checkEkCertificate(certificate, publicKeyOf(ek), trust, terms.now);
  const { revoked, unanswered } = checked.revocation;
  if (revoked.length > 0) return { why: revoked.join('; '), revoked: true };
  if (checked.faults.length > 0) return { why: checked.faults.join('; '), revoked: false };
  if (saysSoftware(checked)) return { why: 'its certificate names a software TPM', revoked: false };
  if (terms.crlsDemanded && unanswered.length > 0)
    return { why: `no revocation list answers for ${unanswered.join(', ')}`, revoked: false };
  return null;
}

/** The entries of a batch, or why there are none: every fault is named, and one is enough. */
export function checkLine(
  entries: readonly PlacedEntry[],
  terms: LineTerms,
): { readonly entries: readonly BatchEntry[]; readonly faults: readonly PlacedFault[] } {
  const taken: BatchEntry[] = [];
  const faults: PlacedFault[] = [];
  const before = new Map<string, PlacedEntry>();
  for (const entry of entries) {
    const { file, line, serial, ek, certificate } = entry;
    const refuse = (message: string): void => void faults.push({ file, line, message });
    try {
      const ekName = toHex(objectName(ek));
      const first = before.get(ekName);
      if (first !== undefined) {
        refuse(`the same endorsement key as ${first.file}, line ${first.line}: one TPM was read twice`);
        continue;
      }
      before.set(ekName, entry);
      const fault = certificateFault(entry, terms);
      if (fault !== null && (fault.revoked || !terms.uncertified)) {
        refuse(fault.why);
        continue;
      }
      const digest = fault === null && certificate !== null ? toHex(sha256(certificate)) : null;
      taken.push({ ekName, certificate: digest, ...(serial === null ? {} : { serial }) });
    } catch (error) {
      // node:crypto throws what it likes for a key that is none: nothing of that is a fault of the program.
      refuse(error instanceof Error ? error.message : String(error));
    }
  }
  return { entries: taken, faults };
}
