// What a device says of itself: the part of evidence that only the binding to a quote makes true of this TPM.
import { byteString, name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import type { Epoch } from '../tpm/port.ts';

/** A report is named by the session of the agent start that wrote it and a number in that session. */
export interface ReportName {
  readonly session: Uint8Array;
  readonly n: number;
}

/** What happened on the device and must reach the controller: refusals, command outcomes, health, roll-backs, interruptions. */
export interface Report extends ReportName {
  readonly kind: 'refused' | 'command' | 'activated' | 'rolled-back' | 'interrupted' | 'tpm' | 'journal';
  /** The rule or outcome in the words of the rule catalogue. */
  readonly rule: string;
  readonly slot: string | null;
  /** Release, command or file that it is about; hex or text. */
  readonly subject: string | null;
  readonly detail: string;
  /** Device time in ms; a hint. */
  readonly at: number;
}

export interface SlotClaim {
  readonly slot: string;
  readonly state: 'empty' | 'active' | 'altered' | 'stopped';
  readonly release: Uint8Array | null;
  readonly version: string | null;
  readonly securityVersion: number | null;
  /** What the release still waits for before it is committed; absent when it is. */
  readonly trial?: 'health' | 'result' | 'floor';
}

/** CBOR map in evidence; unknown fields are ignored unless `crit` names them. */
export interface Claims {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly fleetId: Uint8Array;
  readonly deviceId: string;
  /** 16 random bytes per agent start. */
  readonly session: Uint8Array;
  readonly agentVersion: string;
  readonly profile: string;
  readonly profileDigest: Uint8Array;
  readonly epoch: Epoch;
  /** The log part covers records logFrom to logTo; logFrom is 1 or the challenge's afterSeq + 1; logTo = logFrom − 1 when empty. */
  readonly logFrom: number;
  readonly logTo: number;
  /** Sequence number of the last command accepted in this session; 0 when none. */
  readonly lastSeq: number;
  readonly slots: readonly SlotClaim[];
  readonly reports: readonly Report[];
  /** Values of the quoted PCRs other than the event PCR, in the order of the challenge's selection. */
  readonly bootPcrs: readonly Uint8Array[];
  /** Device time in ms and where it comes from: hints. */
  readonly now: number;
  /** Time from the device's full pass over the bytes of all slots to this evidence, in ms. */
  readonly measuredAgo: number;
  /** PKCS#10 in DER: a certificate of this new key is asked for, in the device's own name; absent while none is needed. */
  readonly tlsCsr?: Uint8Array;
  /** Version of the root statement that the device acts by; absent in what older agents say. */
  readonly rootVersion?: number;
  /** 32 bytes that TPM2_Clear changes for good (Tpm port); absent in what older agents say. */
  readonly tpmLife?: Uint8Array;
  /** Version floors in the TPM of the slots that have one by the profile; null where it is deleted or not yet written. */
  readonly floors?: readonly { readonly slot: string; readonly floor: number | null }[];
  /** The TPM's word on its floors; absent while it has none, and in what older agents say. */
  readonly floorCertificate?: FloorCertificateClaim;
  /** Value of the counter beside the floors, while they are not set: what the token that gives them must name. */
  readonly floorGeneration?: number;
  /** Slots that go on by the word of somebody at the device, without the controller's; absent where there are none. */
  readonly breakGlass?: readonly GlassClaim[];
  /** The TPM's auth values, sealed (escrow.ts), until a result says that the controller keeps them. */
  readonly escrow?: Uint8Array;
}

export interface GlassClaim {
  readonly slot: string;
  /** ms until it is over. */
  readonly leftMs: number;
  /** As that person said it. */
  readonly reason: string;
}

/**
 * TPM2_NV_Certify of the whole index of the version floors by the key of the quote, with floorQualifyingData() of the challenge. It is
 * among the claims so that the quote binds it: who carries the message cannot leave it out or damage it.
 */
export interface FloorCertificateClaim {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

const digest = byteString(32);

export const epochShape: Shape<Epoch> = v.object({ resetCount: uint(0xffffffff), restartCount: uint(0xffffffff) });

export const reportShape: Shape<Report> = v.object({
  session: byteString(16),
  n: uint(),
  kind: v.picklist(['refused', 'command', 'activated', 'rolled-back', 'interrupted', 'tpm', 'journal']),
  rule: text(128),
  slot: v.nullable(name),
  subject: v.nullable(text(512)),
  detail: text(2048),
  at: uint(),
});

export const MAX_REPORTS = 64;

export const claimsShape: Shape<Claims> = v.object({
  v: v.literal(1),
  crit: v.exactOptional(v.pipe(v.array(text(64)), v.maxLength(16))),
  fleetId: byteString(16),
  deviceId: text(64),
  session: byteString(16),
  agentVersion: text(64),
  profile: name,
  profileDigest: digest,
  epoch: epochShape,
  logFrom: uint(),
  logTo: uint(),
  lastSeq: uint(),
  slots: v.pipe(
    v.array(
      v.object({
        slot: name,
        state: v.picklist(['empty', 'active', 'altered', 'stopped']),
        release: v.nullable(digest),
        version: v.nullable(text(128)),
        securityVersion: v.nullable(uint()),
        trial: v.exactOptional(v.picklist(['health', 'result', 'floor'])),
      }),
    ),
    v.maxLength(32),
  ),
  reports: v.pipe(v.array(reportShape), v.maxLength(MAX_REPORTS)),
  bootPcrs: v.pipe(v.array(digest), v.maxLength(24)),
  now: uint(),
  measuredAgo: uint(),
  tlsCsr: v.exactOptional(byteString({ max: 1024 })),
  rootVersion: v.exactOptional(uint()),
  tpmLife: v.exactOptional(digest),
  floors: v.exactOptional(v.pipe(v.array(v.object({ slot: name, floor: v.nullable(uint()) })), v.maxLength(8))),
  floorGeneration: v.exactOptional(uint()),
  breakGlass: v.exactOptional(
    v.pipe(v.array(v.object({ slot: name, leftMs: uint(), reason: text(256) })), v.minLength(1), v.maxLength(32)),
  ),
  escrow: v.exactOptional(byteString({ max: 1024 })),
  floorCertificate: v.exactOptional(
    v.object({ attest: byteString({ max: 1024 }), signature: byteString({ max: 1024 }) }),
  ),
});
