// What an attester is made of: who the device is, and everything that the attester asks of others.
import type { Components, EpochChange } from '../cel/events.ts';
import type { Clock } from '../clock.ts';
import type { EventRecorder } from '../measure/recorder.ts';
import type { SlotMeasurement } from '../measure/slot-measurer.ts';
import type { LoadedProfile, SlotProfile } from '../profile/profile.ts';
import type { CommandBody, ResultStatement } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Journal, SlotRow } from '../store/journal.ts';
import type { Tpm } from '../tpm/port.ts';
import type { Authentic } from './authentic.ts';
import type { Arrivals, Outcome } from './command-runner.ts';
import type { EngineKeeper, EngineKeeperParts } from './engine-keeper.ts';
import type { Basis } from './evidence-maker.ts';
import type { Log } from '../log.ts';
import type { MachineNow } from './machine.ts';
import type { AgentStatus } from './status.ts';
import type { TrialGate, TrialKeeperParts } from './trial-keeper.ts';

/** Who this device is and which run of its agent this is. */
interface Self {
  readonly fleetId: Buffer;
  readonly deviceId: string;
  /** 16 random bytes. */
  readonly session: Buffer;
  readonly agentVersion: string;
}

/** What the agent asks of the gate. */
interface ModelGate extends TrialGate {
  /** Security version that a release must have at least, where the slot holds none that may be loaded. */
  needs(slot: string): bigint | null;
  /** Puts the release before back in place of a committed one that is altered; true when it did. */
  putBack(slot: string): Promise<boolean>;
  /** The signed release that a slot should hold; null when none, or when what lies there no longer opens. */
  expected(slot: string): Promise<SignedRelease | null>;
  /** Judges, stages and switches; a refusal leaves what runs untouched. */
  install(body: Extract<CommandBody, { kind: 'install' }>, row: SlotRow): Promise<Outcome>;
}

export interface AttesterParts {
  readonly self: Self;
  readonly tpm: Tpm;
  /** How often this TPM records its clock, ms (TpmIdentity). */
  readonly clockUpdateMs: number;
  /** The TPM's life in which this agent started (tpm-life.ts). */
  readonly life: Buffer;
  readonly journal: Journal;
  readonly recorder: Pick<EventRecorder, 'append' | 'snapshot'>;
  /** How this start's epoch follows the journal's; `newLog`: the PCRs were zero. */
  readonly start: { readonly why: EpochChange; readonly newLog: boolean };
  readonly components: Components;
  readonly profile: LoadedProfile;
  readonly gate: ModelGate;
  readonly incoming: Arrivals;
  readonly authentic: Authentic;
  readonly clock: Clock;
  readonly log: Log;
  readonly stateDir: string;
  /** The health check of a release on trial. */
  check: TrialKeeperParts['check'];
  /** The keeper of engines, in a log that said `last` of each. */
  engines(last: EngineKeeperParts['last'], ended: EngineKeeperParts['ended']): EngineKeeper;
  /** Has `work` done when nothing else is being done. */
  soon: TrialKeeperParts['soon'];
  /** The controller should hear of something that happened by itself. */
  tell(): Promise<void>;
  /** Hears of every status that was written, and when the lease ends by itself (ms from now; null: it does not). */
  onStatus(status: AgentStatus, leaseLeftMs: number | null): void;
  /** What is acted by, for the answer to this challenge (exact bytes): root statement and version floors. */
  basis(challenge: Uint8Array): Promise<Basis>;
  /** Version floor of each slot that has one by the profile; null: it is not in the TPM. */
  readonly floors: ReadonlyMap<string, number | null>;
  /** Gives the TPM its version floors by a first-write token (JSON), and settles the slots by them. */
  takeFloors(token: string): Promise<Outcome>;
  /** A result was taken for evidence of this run, not older than the last one: what it says beside the lease. */
  heard(result: ResultStatement): Promise<void>;
  /** Device time, ms (never back). */
  now(): number;
  machine(): Promise<MachineNow>;
  measure(slot: SlotProfile, expected: SignedRelease | null): Promise<SlotMeasurement>;
}
