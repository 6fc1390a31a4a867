// A rehearsal as a document for scripts: stable names, what was expected and seen, what devices will report.
import { toHex } from '../bytes/text.ts';
import { decodeEvent, makeRecord } from '../cel/record.ts';
import { TITLES } from './acts.ts';
import type { Group } from './jobs.ts';
import { installEvent } from './predict.ts';
import type { PlayedScene, Rehearsal } from './rehearse.ts';

export interface SceneReport {
  readonly name: string;
  readonly title: string;
  readonly expected: string;
  readonly saw: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  /** The rule of the catalogue that was broken (touchstone explain RULE); null where none was. */
  readonly rule: string | null;
  readonly details: readonly string[];
  readonly ms: number;
}

export interface EventReport {
  readonly number: number;
  readonly type: string;
  /** SHA-256 of the event: what is extended into the event PCR. Hex. */
  readonly digest: string;
}

/** Stable: scripts rely on it. */
export interface RehearsalReport {
  readonly ok: boolean;
  /** The first rule that was broken; null when all is well, or when what failed has no rule. */
  readonly rule: string | null;
  readonly profile: { readonly id: string; readonly digest: string; readonly eventPcr: number };
  readonly slot: string | null;
  /** The devices of a fleet that it stands for: how many, the release that they run and the floor of the slot; null: of no fleet's. */
  readonly fleet: { readonly devices: number; readonly running: string | null; readonly floor: number | null } | null;
  readonly release: ReleaseReport | null;
  readonly from: ReleaseReport | null;
  readonly scenes: readonly SceneReport[];
  /** The event that every device of this profile records for the installation, byte for byte; null before that is known. */
  readonly predicted: {
    readonly slot: string;
    readonly manifest: string;
    readonly statement: string;
    readonly digest: string;
  } | null;
  /** What the rehearsed device recorded; null when it did not get that far. */
  readonly run: {
    readonly events: readonly EventReport[];
    readonly predictedPcr: string;
    readonly measuredPcr: string;
    readonly asPredicted: boolean;
  } | null;
  readonly resources: { readonly memoryBytes: number; readonly diskBytes: number } | null;
  /** Rules of the findings in the first verdict, none of them against the device. */
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

export interface ReleaseReport {
  readonly id: string;
  readonly modelId: string;
  readonly version: string;
  readonly securityVersion: number;
  readonly signedBy: string;
  /** The planned change that it is (FDA, predetermined change control plan); null: none is named. */
  readonly pccpChangeId: string | null;
}

function releaseReport(release: Rehearsal['release']): ReleaseReport | null {
  if (release === null) return null;
  const { modelId, version, securityVersion, pccpChangeId = null } = release.passport;
  return { id: release.id, modelId, version, securityVersion, signedBy: release.signedBy, pccpChangeId };
}

function sceneReport({ name, title, expected, seen, ms }: PlayedScene): SceneReport {
  const { ok, saw, rule, more } = seen;
  return {
    name,
    title,
    expected,
    saw,
    result: ok ? 'passed' : 'failed',
    rule: ok ? null : (rule ?? null),
    details: (more ?? []).filter((line) => line !== ''),
    ms: Math.round(ms),
  };
}

function predicted({ profile, slot, release }: Rehearsal): RehearsalReport['predicted'] {
  if (slot === null || release === null) return null;
  const event = installEvent(profile.profile, { slot: slot.name, release });
  return {
    slot: slot.name,
    manifest: release.passport.manifestDigest,
    statement: release.passport.statementDigest,
    digest: toHex(makeRecord(1, profile.profile.tpm.eventPcr, event).digest),
  };
}

function runReport({ run }: Rehearsal['facts']): RehearsalReport['run'] {
  if (run === null) return null;
  return {
    events: run.records.map(({ recnum, content, digest }) => ({
      number: recnum,
      type: decodeEvent(content).type,
      digest: toHex(digest),
    })),
    predictedPcr: toHex(run.predictedPcr),
    measuredPcr: toHex(run.measuredPcr),
    asPredicted: run.asPredicted,
  };
}

/** `group`: whom it was played for, or null; `more`: what else it does not show. */
export function reportOf(rehearsal: Rehearsal, group: Group | null, more: readonly string[]): RehearsalReport {
  const { profile, slot, release, from, played, unplayed, facts, notes } = rehearsal;
  const last = played.at(-1);
  const skipped = unplayed.map((name): SceneReport => ({
    name,
    title: TITLES[name],
    expected: '',
    saw: `not played: ${last?.name ?? 'the start'} was not as expected${last?.seen.rule === undefined ? '' : ` (${last.seen.rule})`}`,
    result: 'skipped',
    rule: null,
    details: [],
    ms: 0,
  }));
  const scenes = [...played.map(sceneReport), ...skipped];
  const failed = scenes.filter((scene) => scene.result === 'failed');
  const { resources, warnings } = facts;
  return {
    ok: failed.length === 0 && skipped.length === 0,
    rule: failed.find((scene) => scene.rule !== null)?.rule ?? null,
    profile: { id: profile.profile.id, digest: toHex(profile.digest), eventPcr: profile.profile.tpm.eventPcr },
    slot: slot?.name ?? null,
    fleet: group === null ? null : { devices: group.devices, running: group.running, floor: group.floor },
    release: releaseReport(release),
    from: releaseReport(from),
    scenes,
    predicted: predicted(rehearsal),
    run: runReport(facts),
    resources: resources === null ? null : { memoryBytes: resources.memory, diskBytes: resources.disk },
    warnings,
    notes: [...more, ...notes],
  };
}
