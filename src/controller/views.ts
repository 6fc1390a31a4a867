// What the controller tells operators of its devices: the documents of the control interface.
import { decodeEnrolRequest } from '../protocol/codec.ts';
import type { Endorsement } from '../protocol/messages.ts';
import { fromHex, toHex, toUtf8 } from '../bytes/text.ts';
import { decode } from '../bytes/wire.ts';
import { openStatement } from '../protocol/statement.ts';
import { objectName } from '../tpm/wire/names.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
import { RULES } from '../rules/catalogue.ts';
import type { Rule } from '../rules/rule.ts';
import type { Finding, Status } from '../rules/finding.ts';
import { CONDITIONS, conditionOf } from './condition.ts';
import type { Condition } from './condition.ts';
import type { ReferenceKeeper } from './reference-keeper.ts';
import type { CommandRow, DeviceRow, HistoryEntry, Registry, SlotRow } from './registry.ts';
import type { Roster } from './roster.ts';
import type { Settings } from './settings.ts';
import { tpmView } from './tpm-view.ts';
import type { TpmView } from './tpm-view.ts';

/** A finding with what its rule demands and what to do now. */
export interface FindingView extends Finding {
  readonly demands: string;
  readonly now: string;
}

export interface SlotView extends SlotRow {
  /** The planned change that its release is (FDA, PCCP), as the passport says; null where that names none, or is not known here. */
  readonly plannedChange: string | null;
}

export interface DeviceView {
  readonly id: string;
  readonly label: string | null;
  /** What operators decided. */
  readonly state: DeviceRow['state'];
  /** How it is doing, and what to do now. */
  readonly condition: Condition;
  readonly now: string;
  readonly profile: string;
  readonly tier: DeviceRow['tier'];
  readonly tpm: TpmView | null;
  readonly online: boolean;
  /** ms since 1970. */
  readonly lastSeen: number | null;
  readonly verdict: {
    readonly status: Status;
    readonly assurance: string;
    readonly at: number;
    /** When it runs out; null when the profile is not known here. */
    readonly until: number | null;
    readonly findings: readonly FindingView[];
  } | null;
  /** Newer than the verdict: authentic evidence that could not be accepted. */
  readonly trouble: {
    readonly at: number;
    readonly status: Status;
    readonly findings: readonly FindingView[];
  } | null;
  readonly slots: readonly SlotView[];
  /** Highest version floors that its TPM was ever heard to hold; a slot that is not among them has no floor in hardware. */
  readonly floors: readonly { readonly slot: string; readonly floor: number }[];
  /** Its TPM certified them; false: they are the device's word. */
  readonly floorsCertified: boolean;
}

export interface CommandView {
  readonly id: string;
  readonly createdAt: number;
  readonly body: unknown;
  /** Null until the device has reported its end. */
  readonly outcome: unknown;
}

export interface DeviceDetail extends DeviceView {
  /** How often its evidence was accepted. */
  readonly generation: number;
  readonly endorsement: Endorsement | null;
  /** What was found in its request; while it waits this is what approval looks at. */
  readonly enrolment: {
    readonly profile: string;
    readonly hasEkCertificate: boolean;
    readonly ekPublic: string;
    readonly findings: readonly FindingView[];
  } | null;
  /** It asks for its version floors: what the token that gives them must name. */
  readonly floorRequest: { readonly akName: string; readonly generation: string } | null;
  /** The auth values of its TPM as it gave them into escrow: since when, and the bytes (hex), which nobody here can open. */
  readonly escrow: { readonly at: number; readonly sealed: string } | null;
  readonly commands: readonly CommandView[];
  readonly history: readonly HistoryEntry[];
}

const HISTORY_LINES = 50;
const COMMAND_LINES = 20;

export interface ViewParts {
  readonly settings: Settings;
  readonly registry: Registry;
  readonly roster: Pick<Roster, 'get'>;
  readonly references: Pick<ReferenceKeeper, 'terms' | 'trust' | 'references'>;
  readonly now: () => number;
}

function findingView(finding: Finding): FindingView {
  // The registry may hold what a newer version wrote.
  const rule: Rule | undefined = RULES[finding.rule];
  return { ...finding, demands: rule?.demands ?? finding.rule, now: rule?.now ?? 'see the release notes of this rule' };
}

function commandView({ id, createdAt, body, outcome }: CommandRow): CommandView {
  return { id, createdAt, body: JSON.parse(body), outcome: outcome === null ? null : JSON.parse(outcome) };
}

/** What stands in the way of every verdict; null when nothing does. */
function todo({ id, endorsement, state, profile }: DeviceRow, { references, roster }: ViewParts): string | null {
  if (references.terms(profile) === null) return `put the profile ${profile} into the controller's profiles`;
  const isIn = state === 'approved' || state === 'quarantined';
  if (!isIn || endorsement === null || roster.get(id)?.endorsement !== null) return null;
  return 'the key that signed its endorsement is revoked: look at the device, then endorse it again (device approve)';
}

/** Errors: StoreError. */
export async function deviceView(device: DeviceRow, parts: ViewParts): Promise<DeviceView> {
  const { settings, references, now } = parts;
  const { id, label, state, profile, tier, online, lastSeen, verdict, trouble, slots } = device;
  const leaseForMs = references.terms(profile)?.policy.leaseForMs ?? null;
  const silentAfterMs = settings.file.silentAfterSeconds * 1000;
  const condition = conditionOf(device, { now: now(), silentAfterMs, leaseForMs });
  return {
    id,
    label,
    state,
    condition,
    now: todo(device, parts) ?? CONDITIONS[condition],
    profile,
    tier,
    tpm: await tpmView(device, parts),
    online,
    lastSeen,
    verdict:
      verdict === null
        ? null
        : {
            status: verdict.status,
            assurance: verdict.assurance,
            at: verdict.at,
            until: leaseForMs === null ? null : verdict.at + leaseForMs,
            findings: verdict.findings.map(findingView),
          },
    trouble: trouble === null ? null : { ...trouble, findings: trouble.findings.map(findingView) },
    slots: slots.map((slot) => ({
      ...slot,
      plannedChange: references.references.releases.get(slot.release ?? '')?.pccpChangeId ?? null,
    })),
    floors: device.row.log?.floors ?? [],
    floorsCertified: device.row.log?.floorsCertified === true,
  };
}

function floorRequestOf({ row }: DeviceRow, endorsement: Endorsement | null): DeviceDetail['floorRequest'] {
  const generation = row.log?.floorGeneration;
  if (generation === undefined || endorsement === null) return null;
  const ak = decode(TpmtPublic, fromHex(endorsement.akPublic));
  return { akName: toHex(objectName(ak)), generation: generation.toString() };
}

/** Everything about one device. Errors: StoreError. */
export async function deviceDetail(device: DeviceRow, parts: ViewParts): Promise<DeviceDetail> {
  const { registry, references } = parts;
  const [escrow, enrolment, commands, history] = await Promise.all([
    registry.escrow(device.id),
    registry.enrolment(device.id),
    registry.commands(device.id),
    registry.history(device.id, HISTORY_LINES),
  ]);
  const request = enrolment === null ? null : decodeEnrolRequest(enrolment.request);
  const endorsement =
    device.endorsement === null
      ? null
      : openStatement('endorsement', toUtf8(device.endorsement), references.trust.resultKeys);
  return {
    ...(await deviceView(device, parts)),
    generation: device.row.generation,
    endorsement,
    enrolment:
      request === null
        ? null
        : {
            profile: request.profile,
            hasEkCertificate: request.ekCertificate !== null,
            ekPublic: toHex(request.ekPublic),
            findings: (enrolment?.findings ?? []).map(findingView),
          },
    escrow: escrow === null ? null : { at: escrow.at, sealed: toHex(escrow.bytes) },
    floorRequest: floorRequestOf(device, endorsement),
    commands: commands.slice(-COMMAND_LINES).map(commandView),
    history,
  };
}
