// The next root statement out of the one before: keys are added, replaced and revoked, and nothing is taken back by mistake.
import type { DsseEnvelope } from '../crypto/dsse.ts';
import { WireError } from '../errors.ts';
import type { Finding } from '../rules/finding.ts';
import { toFinding } from './judgement.ts';
import { judgeChain, parseRootFile } from './root-chain.ts';
import type { RootLink } from './root-chain.ts';
import { LINK_CHECKS, readRoot, rootSigners, signersAmong } from './root-link.ts';
import type { RootSigners } from './root-link.ts';
import type { FleetFile, RootKey, RootStatement } from './types.ts';

export interface RootChange {
  readonly issuedAt: number;
  readonly expires: number;
  /** All root keys from now on; absent: those of before. */
  readonly root?: RootStatement['root'];
  /** Publishers to add; one that is there gets these model ids instead of its own. */
  readonly publishers?: RootStatement['publishers'];
  readonly releaseThresholds?: RootStatement['releaseThresholds'];
  readonly floor?: readonly RootKey[];
  readonly escrow?: RootKey;
  /** Stations to add; one that is there gets these profiles instead of its own. */
  readonly stations?: NonNullable<RootStatement['stations']>;
  readonly operators?: readonly RootKey[];
  readonly results?: readonly RootKey[];
  readonly revoke?: readonly { readonly id: string; readonly reason: string }[];
}

/** `more` in the place of those of `before` that have the same id. */
function withMore<T extends { readonly id: string }>(before: readonly T[], more: readonly T[] = []): T[] {
  const ids = new Set(more.map((one) => one.id));
  return [...before.filter((one) => !ids.has(one.id)), ...more];
}

const CRITICAL = 'releaseThresholds';

/**
 * The statement after `before`. Keys are never removed but root keys: what a key signed once must be known, and revoking it is what
 * ends it. A key that was revoked stays so.
 */
export function nextRoot(before: RootStatement, change: RootChange): RootStatement {
  const { crit = [], releaseThresholds: asked = [], ...rest } = before;
  const models = new Set(change.releaseThresholds?.map((one) => one.modelId));
  const thresholds = [
    ...asked.filter((one) => !models.has(one.modelId)),
    ...(change.releaseThresholds ?? []).filter((one) => one.threshold > 1),
  ];
  // A device that does not know the field would let in what one publisher signed.
  const critical = [...crit.filter((field) => field !== CRITICAL), ...(thresholds.length > 0 ? [CRITICAL] : [])];
  const stations = withMore(before.stations ?? [], change.stations);
  const at = change.issuedAt;
  return {
    ...rest,
    ...(critical.length > 0 ? { crit: critical } : {}),
    ...(thresholds.length > 0 ? { releaseThresholds: thresholds } : {}),
    version: before.version + 1,
    issuedAt: at,
    expires: change.expires,
    root: change.root ?? before.root,
    publishers: withMore(before.publishers, change.publishers),
    floor: withMore(before.floor, change.floor),
    ...(change.escrow === undefined ? {} : { escrow: change.escrow }),
    ...(stations.length > 0 ? { stations } : {}),
    operators: withMore(before.operators, change.operators),
    results: withMore(before.results, change.results),
    revoked: [
      ...before.revoked,
      ...(change.revoke ?? [])
        .filter(({ id }) => before.revoked.every((one) => one.id !== id))
        .map(({ id, reason }) => ({ id, reason, at })),
    ],
  };
}

/** What a key may do by a statement, in words; empty when it is in no table. */
export function rolesOf(root: RootStatement, id: string): string[] {
  const isIn = (keys: readonly RootKey[]): boolean => keys.some((one) => one.id === id);
  const { profiles = [] } = root.stations?.find((one) => one.id === id) ?? {};
  const { modelIds = [] } = root.publishers.find((one) => one.id === id) ?? {};
  return [
    ...(isIn(root.root.keys) ? ['root'] : []),
    ...(modelIds.length > 0 ? [`publisher of ${modelIds.join(', ')}`] : []),
    ...(isIn(root.floor) ? ['floor'] : []),
    ...(root.floorRecovery?.id === id ? ['floor recovery'] : []),
    ...(root.escrow?.id === id ? ['escrow'] : []),
    ...(profiles.length > 0 ? [`station for ${profiles.join(', ')}`] : []),
    ...(isIn(root.operators) ? ['operator'] : []),
    ...(isIn(root.results) ? ['result'] : []),
  ];
}

/** How far one side has signed. */
export interface SideSigned extends RootSigners {
  readonly signed: readonly string[];
}

/** A statement on its way from one holder of a root key to the next. */
export interface RootProposal {
  /** What leads to the statement before; not empty. */
  readonly links: readonly RootLink[];
  readonly before: RootStatement;
  readonly envelope: DsseEnvelope;
  /** Nothing of it counts before enough have signed. */
  readonly root: RootStatement;
  readonly byBefore: SideSigned;
  readonly byItself: SideSigned;
  readonly complete: boolean;
}

function sideOf(envelope: DsseEnvelope, signers: RootSigners): SideSigned {
  return { ...signers, signed: signersAmong(envelope, signers.keys) };
}

/** A statement that follows `links`, and who has signed it. */
export function proposalAfter(links: readonly RootLink[], envelope: DsseEnvelope, root: RootStatement): RootProposal {
  const before = links.at(-1)?.root;
  if (before === undefined) throw new RangeError('a proposal follows a statement');
  const byBefore = sideOf(envelope, rootSigners(before));
  const byItself = sideOf(envelope, rootSigners(root));
  const complete = [byBefore, byItself].every(({ signed, threshold }) => signed.length >= threshold);
  return { links, before, envelope, root, byBefore, byItself, complete };
}

/**
 * A root file whose last statement may lack signatures, and nothing else. Errors: none for bad bytes; they are findings.
 */
export function readProposal(
  fleet: FleetFile,
  file: Uint8Array,
): { ok: true; proposal: RootProposal } | { ok: false; findings: Finding[] } {
  const refuse = (faults: readonly Parameters<typeof toFinding>[0][]): { ok: false; findings: Finding[] } => ({
    ok: false,
    findings: faults.map((fault) => toFinding(fault, 'root', 'fleet')),
  });
  let envelopes: readonly DsseEnvelope[];
  try {
    envelopes = parseRootFile(file);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return refuse([{ rule: 'root-malformed', expected: 'a root file', found: error.message }]);
  }
  const envelope = envelopes.at(-1);
  if (envelope === undefined || envelopes.length < 2) {
    return refuse([{ rule: 'root-malformed', expected: 'a statement after another', found: 'one alone' }]);
  }
  const judged = judgeChain(fleet, envelopes.slice(0, -1));
  if ('faults' in judged) return refuse(judged.faults);
  const read = readRoot(Buffer.from(envelope.payload, 'base64'));
  if ('fault' in read) return refuse([read.fault]);
  const proposal = proposalAfter(judged.links, envelope, read.value);
  const facts = { envelope, root: read.value, fleetId: fleet.fleetId, least: proposal.before.version + 1 };
  const others = LINK_CHECKS.filter((check) => check.rule !== 'root-threshold');
  const faults = others.flatMap((check) => check.judge(facts));
  return faults.length > 0 ? refuse(faults) : { ok: true, proposal };
}
