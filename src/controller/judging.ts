// One evidence message of a known device: appraised, and made into what the registry accepts and the device is answered.
import { toHex } from '../bytes/text.ts';
import type { KeyObject } from 'node:crypto';
import type { Report } from '../evidence/claims.ts';
import { signStatementInPool } from '../protocol/statement.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import type { Finding, Status } from '../rules/finding.ts';
import { appraiseInPool } from '../verifier/appraise.ts';
import type { Appraisal, AppraisalPolicy, ReferenceValues } from '../verifier/types.ts';
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
}

/** An operator's word is above what the evidence says: a device set aside is not trusted while it is. */
const QUARANTINE: Finding = {
  rule: 'quarantine',
  status: 'contraindicated',
  subject: 'device',
  expected: 'a device that no operator has set aside',
  found: 'set aside by an operator',
  source: 'operator',
};

/** Appraises; `known` must have an endorsement. */
export async function judge(
  known: Known,
  { reference, policy }: Yardstick,
  evidence: Buffer,
  log: Buffer | null,
  now: number,
): Promise<Appraisal> {
  if (known.endorsement === null) throw new TypeError('only endorsed devices are judged');
  return appraiseInPool({ evidence, log, endorsement: known.endorsement, reference, policy, row: known.row, now });
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

/** The verdict as the device, and anybody else, may check it. */
function resultOf(
  appraisal: Appraisal,
  verdict: { readonly status: Status; readonly findings: readonly Finding[] },
  about: { readonly fleetId: string; readonly deviceId: string; readonly leaseForMs: number; readonly now: number },
): ResultStatement {
  const { fleetId, deviceId, leaseForMs, now } = about;
  return {
    v: 1,
    fleetId,
    deviceId,
    evidence: toHex(appraisal.evidenceDigest),
    status: verdict.status,
    assurance: appraisal.assurance,
    slots: appraisal.slots,
    findings: verdict.findings,
    appraisedAt: now,
    leaseForMs,
    exp: now + leaseForMs,
    acknowledged: (appraisal.claims?.reports ?? []).map(({ session, n }) => ({ session: toHex(session), n })),
  };
}

/** The compare-and-set for an accepted appraisal, with the signed result in it. */
export async function acceptance(
  known: Known,
  appraisal: Appraisal,
  { reference, policy }: Yardstick,
  evidence: Buffer,
  { fleetId, resultKey }: JudgingKeys,
  now: number,
): Promise<Acceptance> {
  const { next, claims, assurance } = appraisal;
  if (next === null || claims === null) throw new TypeError('only accepted evidence is taken');
  const aside = known.state === 'quarantined';
  const verdict = {
    status: aside ? ('contraindicated' as const) : appraisal.status,
    findings: aside ? [QUARANTINE, ...appraisal.findings] : appraisal.findings,
  };
  const words = verdictWords(verdict.status, assurance, verdict.findings);
  const leaseForMs = aside ? 0 : policy.leaseForMs;
  const result = resultOf(appraisal, verdict, { fleetId, deviceId: known.id, leaseForMs, now });
  return {
    id: known.id,
    state: known.state,
    generation: known.row.generation,
    next,
    verdict: { ...verdict, assurance, at: now, envelope: await signStatementInPool('result', result, resultKey) },
    session: toHex(claims.session),
    lastSeq: claims.lastSeq,
    slots: slotRows(appraisal, reference),
    reports: claims.reports.map(reportRow),
    change: words === known.verdict?.words ? null : words,
    evidence,
    ...(claims.rootVersion === undefined ? {} : { rootVersion: claims.rootVersion }),
  };
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
