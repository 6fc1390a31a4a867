// What appraisal takes in and gives out. Everything is bytes, keys and numbers: no I/O, no clock, no randomness.
import type { KeyObject } from 'node:crypto';
import type { Components } from '../cel/events.ts';
import type { Claims } from '../evidence/claims.ts';
import type { Assurance, Challenge, Endorsement, Finding, Status } from '../protocol/messages.ts';
import type { Epoch } from '../tpm/port.ts';

/** An endorsement whose signature was checked, with its keys imported once. */
export interface TrustedEndorsement {
  readonly endorsement: Endorsement;
  readonly akKey: KeyObject;
  readonly akQualifiedName: Buffer;
}

/** A release that the fleet's publishers signed and the controller holds. */
export interface ReferenceRelease {
  /** SHA-256 of the passport payload, hex: the release id. */
  readonly id: string;
  readonly modelId: string;
  readonly version: string;
  readonly securityVersion: number;
  readonly slotRole: string;
  readonly hardwareClass: readonly string[];
  readonly statement: Uint8Array;
  readonly manifest: Uint8Array;
  readonly signedBy: string;
  readonly withdrawn: boolean;
  /** The planned change that it is, as its passport says. */
  readonly pccpChangeId?: string;
  /** Why it would not be let in any more by what the root said since: a revoked key, too few signers. What runs goes on. */
  readonly lapsed?: readonly {
    readonly rule: 'release-signer-revoked' | 'release-threshold';
    readonly expected: string;
    readonly found: string;
  }[];
}

/** What the owner says must be found, taken from the controller's own copies and never from the device. */
export interface ReferenceValues {
  readonly profile: {
    readonly id: string;
    readonly digest: Uint8Array;
    readonly hardwareClass: string;
    readonly bank: 'sha256';
    readonly eventPcr: number;
    readonly bootPcrs: readonly number[];
    /** Longest time between two full passes over the bytes of every slot; evidence measured longer ago is a warning. */
    readonly maxDetectionSeconds: number;
    readonly slots: readonly {
      /** Number of its version floor in the TPM; absent: it has none. */
      readonly floor?: number;
      /** Planned changes that a release in it may be; absent: any, or none. */
      readonly plannedChanges?: readonly string[];
      /** How long somebody at the device may answer for it; absent: not at all. */
      readonly breakGlassSeconds?: number;
      readonly name: string;
      readonly role: string;
      readonly modelIds: readonly string[];
      readonly required: boolean;
      /** The device compiles an engine from the model; absent: it does not. */
      readonly engine?: true;
      /** SHA-256 of the configs manifest; null where the profile names none. */
      readonly configs: Uint8Array | null;
    }[];
  };
  /** Name of the index of the version floors, once written, as the fleet's floor keys define it; absent: the root names no such keys. */
  readonly floorIndex?: Uint8Array;
  /** By release id. */
  readonly releases: ReadonlyMap<string, ReferenceRelease>;
  /** Allowed components (hex of agent, node, trust, runtime); null = not pinned, which keeps assurance below A2. */
  readonly components: readonly Components[] | null;
  /** Allowed digests (hex) of each boot PCR; a PCR without a list is not judged, which keeps assurance at A1. */
  readonly bootPcrs: ReadonlyMap<number, ReadonlySet<string>>;
  /** True when the boot reference values cover kernel, initrd, agent, gate and runtime (the owner says so): needed for A2. */
  readonly bootCoversAgent: boolean;
}

export interface AppraisalPolicy {
  /** Evidence older than this (now − challenge.issuedAt) is `late`. */
  readonly maxAgeMs: number;
  /** A challenge issued further ahead of `now` than this is `controller-clock`. */
  readonly maxSkewMs: number;
  readonly leaseForMs: number;
  /** SHA-256 over the policy's canonical bytes, as challenges carry it. */
  readonly digest: Uint8Array;
  readonly challengeKeys: ReadonlyMap<string, KeyObject>;
}

/** What earlier accepted evidence of the same log left behind: the row's log state. Plain data, so a registry can keep it. */
export interface LogState {
  readonly epoch: Epoch;
  readonly seq: number;
  /** Event PCR value after record `seq`. */
  readonly pcr: Uint8Array;
  readonly session: Uint8Array | null;
  readonly components: Components | null;
  /** Session of the last agent-start event in this log; null where there is none that is the agent's own. */
  readonly startedSession: Uint8Array | null;
  /** The life of its TPM in which it was let in, as it said first; of the device, whatever log it came with. */
  readonly tpmLife?: Uint8Array;
  /** Highest version floor ever seen of each slot that has one. Of the device, whatever log it came with. */
  readonly floors?: readonly { readonly slot: string; readonly floor: number }[];
  /** Its TPM certified them, in the evidence before this one or earlier; absent: they are the device's word. */
  readonly floorsCertified?: true;
  /** Its floors are not set, and the token that gives them must name this; as it said last. */
  readonly floorGeneration?: number;
  /** What the log says last of each slot's engine. */
  readonly engines?: readonly EngineLogState[];
  /** Engines that this device was seen to compile, the newest first. Of the device, whatever log said so. */
  readonly enginesMade?: readonly EngineMade[];
  readonly foreignExtensions: number;
  readonly bootExplained: boolean;
  readonly slots: readonly SlotLogState[];
}

export interface SlotLogState {
  readonly slot: string;
  readonly release: Uint8Array | null;
  readonly statement: Uint8Array | null;
  readonly manifest: Uint8Array;
  readonly configs: Uint8Array | null;
  readonly differing: readonly {
    readonly path: string;
    readonly expected: Uint8Array | null;
    readonly found: Uint8Array | null;
  }[];
  readonly more: number;
  /** Some record of this log said that this slot was wrong. */
  readonly wasWrong: boolean;
}

export interface EngineMade {
  readonly slot: string;
  readonly statement: Uint8Array;
  readonly compiler: Uint8Array;
  readonly engine: Uint8Array;
}

export interface EngineLogState extends Omit<EngineMade, 'engine'> {
  /** Null: there is none any more. */
  readonly engine: Uint8Array | null;
  /**
   * made: this device was seen to compile it. unseen: what it compiled from this model nobody was told. altered: it is not what it compiled.
   * strange: the slot did not hold its model.
   */
  readonly origin: 'made' | 'unseen' | 'altered' | 'strange';
}

/** The device row's part that acceptance compares and sets. */
export interface RowState {
  readonly generation: number;
  readonly log: LogState | null;
  /** Highest TPM clock seen in `log.epoch`, and resetCount ever seen. */
  readonly clock: bigint;
  readonly maxResetCount: number;
}

/**
 * accepted: signature, MAC, binding and replay passed: the row advances, also when the content is contraindicated.
 * refused: not evidence of this device for this challenge; the row stays (rules late, superseded, controller-clock are no verdicts).
 */
export interface Appraisal {
  readonly accepted: boolean;
  /**
   * True when MAC, freshness, signature and binding passed: whatever is found then is about this device, not about who
   * delivered the message. Not accepted but authentic (its log does not explain its PCRs) is worth showing and asking again for
   * the whole log (epoch null, afterSeq 0); neither is worth nothing, because anybody can send that.
   */
  readonly authentic: boolean;
  readonly status: Status;
  readonly assurance: Assurance;
  readonly slots: readonly { readonly slot: string; readonly status: Status }[];
  readonly findings: readonly Finding[];
  /** SHA-256 of the evidence message's exact bytes. */
  readonly evidenceDigest: Buffer;
  readonly challenge: Challenge | null;
  readonly claims: Claims | null;
  /** Present when accepted. */
  readonly next: RowState | null;
}

/** Everything appraisal looks at. `log` is null when the message carries its log itself; otherwise the parts, joined. */
export interface AppraisalInput {
  /** EvidenceMessage, exact bytes as received. */
  readonly evidence: Uint8Array;
  readonly log: Uint8Array | null;
  readonly endorsement: TrustedEndorsement;
  readonly reference: ReferenceValues;
  readonly policy: AppraisalPolicy;
  readonly row: RowState;
  /** The controller's clock, ms. */
  readonly now: number;
}
