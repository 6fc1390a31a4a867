// The verdict as the controller signs it, made from an appraisal and an operator's word alone: whoever has both makes the same bytes.
import { toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import type { Finding, Status } from '../rules/finding.ts';
import type { Appraisal } from './types.ts';

/** An operator's word is above what the evidence says: a device set aside is not trusted while it is. */
const QUARANTINE: Finding = {
  rule: 'quarantine',
  status: 'contraindicated',
  subject: 'device',
  expected: 'a device that no operator has set aside',
  found: 'set aside by an operator',
  source: 'operator',
};

export interface Verdict {
  readonly status: Status;
  readonly findings: readonly Finding[];
  /** How long the device may act on it, by the TPM clock of its quote, ms. */
  readonly leaseForMs: number;
}

/** What counts of an appraisal when an operator has set the device aside, or not. */
export function verdictOf(appraisal: Appraisal, aside: boolean, leaseForMs: number): Verdict {
  const { status, findings } = appraisal;
  if (!aside) return { status, findings, leaseForMs };
  return { status: 'contraindicated', findings: [QUARANTINE, ...findings], leaseForMs: 0 };
}

/** `now`: when it was appraised, by the controller's clock, ms. */
export function resultOf(
  appraisal: Appraisal,
  { status, findings, leaseForMs }: Verdict,
  { fleetId, deviceId, now }: { readonly fleetId: string; readonly deviceId: string; readonly now: number },
): ResultStatement {
  return {
    v: 1,
    fleetId,
    deviceId,
    evidence: toHex(appraisal.evidenceDigest),
    status,
    assurance: appraisal.assurance,
    slots: appraisal.slots,
    findings,
    appraisedAt: now,
    leaseForMs,
    exp: now + leaseForMs,
    acknowledged: (appraisal.claims?.reports ?? []).map(({ session, n }) => ({ session: toHex(session), n })),
    ...(appraisal.claims?.escrow === undefined ? {} : { escrowed: toHex(sha256(appraisal.claims.escrow)) }),
  };
}
