// One evidence message of a known device: appraised, and made into what the registry accepts and the device is answered.
import { toHex } from '../bytes/text.ts';
import type { KeyObject } from 'node:crypto';
import type { KeyWork } from '../crypto/key-threads.ts';
import type { Report } from '../evidence/claims.ts';
import { signStatementBy } from '../protocol/statement.ts';
import { resultOf, verdictOf } from '../verifier/result.ts';
import type { Appraisal, AppraisalInput, AppraisalPolicy, ReferenceValues } from '../verifier/types.ts';
import type { Acceptance, ReportRow, SlotRow } from './registry.ts';
import { verdictWords } from './roster.ts';
import type { Known } from './roster.ts';

/** What a device is judged by. */
export interface Yardstick {
  readonly reference: ReferenceValues;
  readonly policy: AppraisalPolicy;
}

export interface JudgingKeys {
  readonly fleetId: string;
  readonly resultKey: KeyObject;
  /** Checks and makes signatures. */
  readonly work: KeyWork;
}

/** What this evidence is appraised by; `known` must have an endorsement. `log`: as it came in parts, or null. */
export function inputFor(
  known: Known,
  { reference, policy }: Yardstick,
  evidence: Buffer,
  log: Buffer | null,
  now: number,
): AppraisalInput {
  if (known.endorsement === null) throw new TypeError('only endorsed devices are judged');
  return { evidence, log, endorsement: known.endorsement, reference, policy, row: known.row, now };
}

function reportRow(report: Report): ReportRow {
  const { kind, n, rule, slot, subject, detail } = report;
  const session = toHex(report.session);
  const about = slot === null ? '' : ` (slot ${slot})`;
  const body = JSON.stringify({ kind, rule, slot, subject, detail, at: report.at });
  return { session, n, kind, slot, subject, body, text: `${rule}${about}: ${detail}` };
}

/** Releases as the log measured them; what the device merely claims is its word for the state. */
function slotRows(appraisal: Appraisal, reference: ReferenceValues): SlotRow[] {
  return appraisal.slots.map(({ slot, status }) => {
    const held = appraisal.next?.log?.slots.find((one) => one.slot === slot);
    const claim = appraisal.claims?.slots.find((one) => one.slot === slot);
    const release = held?.release === undefined || held.release === null ? null : toHex(held.release);
    const version = release === null ? null : (reference.releases.get(release)?.version ?? claim?.version ?? null);
    // What is on trial is not what the slot holds for good.
    const state = claim?.trial === undefined ? (claim?.state ?? 'unknown') : 'trial';
    return { slot, release, version, state, status };
  });
}

/** The compare-and-set for an accepted appraisal, with the signed result in it. */
export async function acceptance(
  known: Known,
  appraisal: Appraisal,
  { evidence, reference, policy, now }: AppraisalInput,
  { fleetId, resultKey, work }: JudgingKeys,
): Promise<Acceptance> {
  const { next, claims, assurance } = appraisal;
  if (next === null || claims === null) throw new TypeError('only accepted evidence is taken');
  const verdict = verdictOf(appraisal, isAside(known), policy.leaseForMs);
  const { status, findings } = verdict;
  const words = verdictWords(status, assurance, findings);
  const result = resultOf(appraisal, verdict, { fleetId, deviceId: known.id, now });
  return {
    id: known.id,
    state: known.state,
    generation: known.row.generation,
    next,
    verdict: {
      status,
      findings,
      assurance,
      at: now,
      envelope: await signStatementBy(work, 'result', result, resultKey),
    },
    session: toHex(claims.session),
    lastSeq: claims.lastSeq,
    slots: slotRows(appraisal, reference),
    reports: claims.reports.map(reportRow),
    change: words === known.verdict?.words ? null : words,
    evidence: Buffer.from(evidence.buffer, evidence.byteOffset, evidence.byteLength),
    ...(claims.rootVersion === undefined ? {} : { rootVersion: claims.rootVersion }),
    ...(claims.escrow === undefined ? {} : { escrow: Buffer.from(claims.escrow) }),
    ...(claims.tlsCsr === undefined ? {} : { tlsCsr: claims.tlsCsr }),
  };
}

/** An operator set it aside: it attests, and no verdict trusts it. */
export function isAside({ state }: Pick<Known, 'state'>): boolean {
  return state === 'quarantined';
}

/** What the roster holds of a device after its evidence was accepted. */
export function afterAcceptance({ next, verdict, session, lastSeq, rootVersion }: Acceptance): Partial<Known> {
  const { status, assurance, findings, at } = verdict;
  return {
    row: next,
    verdict: { at, words: verdictWords(status, assurance, findings) },
    session,
    lastSeq,
    lastSeen: at,
    online: true,
    ...(rootVersion === undefined ? {} : { rootVersion }),
  };
}
