// Appraisal: evidence, endorsement, reference values, policy and time in; a verdict with all findings out. Pure.
import { sha256, SHA256_BYTES } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import { decodeClaims } from '../evidence/claims-codec.ts';
import type { Claims } from '../evidence/claims.ts';
import { readChallenge } from '../protocol/challenge.ts';
import { decodeEvidence } from '../protocol/codec.ts';
import type { Challenge } from '../protocol/messages.ts';
import type { RuleId } from '../rules/catalogue.ts';
import type { Status } from '../rules/finding.ts';
import { assuranceOf } from './assurance.ts';
import { readAttestHeader, readQuoteInfo, readSignature, SignatureAnswer } from './attest.ts';
import type { AskKey } from './attest.ts';
import { checks as allChecks } from './checks.ts';
import { knownFloors } from './checks/floors.ts';
import type { Checks } from './checks.ts';
import type { Asked, Check, Expected, Explained, Quoted, Signed, Unproved, VerifiedQuote } from './contexts.ts';
import { readEvents } from './event-reader.ts';
import { Findings } from './findings.ts';
import { readFloorCertificate } from './floor-certificate.ts';
import { readLog } from './log-reader.ts';
import { foldLog } from './log-state.ts';
import { contentDigests, replay } from './replay.ts';
import { clockWentBack } from './tpm-history.ts';
import { ReleaseLookup } from './slot-judgement.ts';
import type { MeasuredSlot } from './slot-judgement.ts';
import type { Appraisal, AppraisalInput, LogState, ReferenceValues, RowState } from './types.ts';

const ZERO_PCR: Uint8Array = new Uint8Array(SHA256_BYTES);

/** True when every check of the stage was content. */
function passes<Context>(list: readonly Check<Context>[], context: Context, findings: Findings): boolean {
  for (const { run } of list) run(context, findings);
  return !findings.any;
}

/** What `read` gives; null when the bytes are not of their format, which is then a finding and ends the appraisal. */
function readOr<T>(read: () => T, rule: RuleId, status: Status, findings: Findings): T | null {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    findings.add(rule, status, 'device', 'bytes of the declared format', cause.message, 'fleet');
    return null;
  }
}

/** What is known of the evidence when the appraisal ends, however early. */
interface Known {
  readonly evidence: Uint8Array;
  challenge: Challenge | null;
  claims: Claims | null;
  authentic: boolean;
}

function refusal(known: Known, findings: Findings): Appraisal {
  return {
    accepted: false,
    authentic: known.authentic,
    status: findings.status,
    assurance: 'A0',
    slots: [],
    findings: findings.list(),
    evidenceDigest: sha256(known.evidence),
    challenge: known.challenge,
    claims: known.claims,
    next: null,
  };
}

function readAsked(input: AppraisalInput, known: Known, findings: Findings): Asked | null {
  return readOr(
    () => {
      const message = decodeEvidence(input.evidence);
      const challenge = readChallenge(message.challenge);
      known.challenge = challenge;
      return { input, message, challenge };
    },
    'evidence-malformed',
    'none',
    findings,
  );
}

/** The log as received: in the message, or its parts joined (the quote binds its digest either way). */
function logBytes({ input, message }: Asked): Uint8Array {
  return message.log instanceof Uint8Array ? message.log : (input.log ?? new Uint8Array());
}

function readExplained(quoted: Quoted, known: Known, findings: Findings): Explained | null {
  const quote: VerifiedQuote = { ...quoted.header, verified: 'quote' };
  const fault = 'contraindicated';
  const info = readOr(() => readQuoteInfo(quote.attested), 'quote-malformed', fault, findings);
  const claims = readOr(() => decodeClaims(quoted.message.claims), 'claims-malformed', fault, findings);
  known.claims = claims;
  const log = readOr(
    () => {
      const records = readLog(quoted.log);
      return { records, events: readEvents(quoted.log, records) };
    },
    'log-malformed',
    fault,
    findings,
  );
  if (info === null || claims === null || log === null) return null;
  const { input, message, challenge } = quoted;
  const base = claims.logFrom === 1 ? null : input.row.log;
  const replayed = replay(base?.pcr ?? ZERO_PCR, log.records, log.events);
  return {
    input,
    message,
    challenge,
    quote,
    info,
    claims,
    ...log,
    base,
    contentDigests: contentDigests(log.records),
    replayed,
  };
}

function measuredSlots({ slots }: LogState, reference: ReferenceValues, releases: ReleaseLookup): MeasuredSlot[] {
  const measured: MeasuredSlot[] = [];
  for (const slot of reference.profile.slots) {
    const held = slots.find((state) => state.slot === slot.name);
    if (held !== undefined) measured.push({ slot, held, release: releases.of(held) });
  }
  return measured;
}

/** Values of the quoted boot PCRs: claimed in the order asked for, and bound by the quote. */
function bootPcrOf({ pcrs }: Challenge, { bootPcrs }: Claims, { profile }: ReferenceValues): Expected['bootPcr'] {
  const event = pcrs.indexOf(profile.eventPcr);
  return (pcr) => {
    const at = pcrs.indexOf(pcr);
    if (at < 0 || at === event) return undefined;
    return bootPcrs[event < 0 || at < event ? at : at - 1] ?? ZERO_PCR;
  };
}

function toExpected({ input, message, challenge, quote, claims, base, events, replayed }: Explained): Expected {
  const { reference, endorsement } = input;
  const { deviceId } = endorsement.endorsement;
  const releases = new ReleaseLookup(reference);
  const reader = { deviceId, session: claims.session, epoch: quote, reference, releases, before: input.row.log };
  const state = foldLog(base, events, Buffer.from(replayed, 'latin1'), reader);
  const floors = readFloorCertificate(claims.floorCertificate);
  const measured = measuredSlots(state, reference, releases);
  return {
    input,
    sealed: message.challenge,
    quote,
    claims,
    state,
    floors,
    measured,
    bootPcr: bootPcrOf(challenge, claims, reference),
  };
}

/** The row after accepting. What went back stays remembered, so that the finding stays until somebody looks. */
function nextRow({ row, endorsement }: AppraisalInput, quote: VerifiedQuote, log: LogState): RowState {
  return {
    generation: row.generation + 1,
    log,
    clock: clockWentBack(quote, row, endorsement.endorsement.tier) ? row.clock : quote.clock,
    maxResetCount: Math.max(row.maxResetCount, quote.resetCount),
  };
}

/** The first that the device said, until somebody accepts that it is another. */
function knownLife({ claims, input }: Expected): Pick<LogState, 'tpmLife'> {
  const tpmLife = input.row.log?.tpmLife ?? claims.tpmLife;
  return tpmLife === undefined ? {} : { tpmLife };
}

function accepted(expected: Expected, known: Known, findings: Findings): Appraisal {
  const { input, quote, state } = expected;
  const slots = input.reference.profile.slots.map(({ name }) => ({ slot: name, status: findings.of(name) }));
  return {
    accepted: true,
    authentic: known.authentic,
    status: findings.status,
    assurance: assuranceOf(expected, findings),
    slots,
    findings: findings.list(),
    evidenceDigest: sha256(known.evidence),
    challenge: known.challenge,
    claims: known.claims,
    next: nextRow(input, quote, { ...state, ...knownLife(expected), ...knownFloors(expected, findings) }),
  };
}

/** As far as it goes without asking the endorsed key: null when it is refused already. */
function begin(checks: Checks, input: AppraisalInput, known: Known, findings: Findings): Unproved | null {
  const asked = readAsked(input, known, findings);
  if (asked === null || !passes(checks.asked, asked, findings)) return null;
  const signature = readOr(() => readSignature(asked.message.signature), 'quote-signature', 'none', findings);
  return signature === null ? null : { ...asked, signature };
}

/** All that follows the answer of the endorsed key. */
function conclude(checks: Checks, signed: Signed, known: Known, findings: Findings): Appraisal {
  if (!passes(checks.signed, signed, findings)) return refusal(known, findings);

  const header = readOr(() => readAttestHeader(signed.message.attest), 'quote-malformed', 'none', findings);
  if (header === null) return refusal(known, findings);
  const quoted = { ...signed, header, log: logBytes(signed) };
  if (!passes(checks.quoted, quoted, findings)) return refusal(known, findings);
  known.authentic = true;

  const explained = readExplained(quoted, known, findings);
  if (explained === null || !passes(checks.explained, explained, findings)) return refusal(known, findings);
  const expected = toExpected(explained);
  passes(checks.expected, expected, findings);
  return accepted(expected, known, findings);
}

const nothingKnown = ({ evidence }: AppraisalInput): Known => ({
  evidence,
  challenge: null,
  claims: null,
  authentic: false,
});

/** `appraise` with a list of checks of the caller's: for the test that takes each check away in turn. */
export function appraiseWith(checks: Checks, input: AppraisalInput): Appraisal {
  const [findings, known] = [new Findings(), nothingKnown(input)];
  const unproved = begin(checks, input, known, findings);
  if (unproved === null) return refusal(known, findings);
  const { message, signature } = unproved;
  const answer = SignatureAnswer.of(input.endorsement.akKey, message.attest, signature);
  return conclude(checks, { ...unproved, answer }, known, findings);
}

/**
 * Judges one evidence message. Never throws for what the evidence is: that is a finding. `accepted` says whether the row may
 * advance to `next` (compare-and-set on `generation`); `status` whether the device is trusted.
 */
export function appraise(input: AppraisalInput): Appraisal {
  return appraiseWith(allChecks, input);
}

/**
 * The same judgement by the same checks, with the key asked by way of `ask`, on another thread: for who judges many at once. What
 * is no answer to an open challenge of ours asks nobody. The bytes of `input` must stay as they are.
 */
export async function appraiseAsking(ask: AskKey, input: AppraisalInput): Promise<Appraisal> {
  const [findings, known] = [new Findings(), nothingKnown(input)];
  const unproved = begin(allChecks, input, known, findings);
  if (unproved === null) return refusal(known, findings);
  const { message, signature } = unproved;
  const answer = await SignatureAnswer.by(ask, input.endorsement.akKey, message.attest, signature);
  return conclude(allChecks, { ...unproved, answer }, known, findings);
}
