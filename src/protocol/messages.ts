// Every message between device and controller, as declared in touchstone.cddl.
import { byteString, name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { epochShape } from '../evidence/claims.ts';
import type { Finding, Status } from '../rules/finding.ts';
import type { Epoch, PcrBank } from '../tpm/port.ts';

/** The version we write; we read it and the one before (there is none before 1). */
export const PROTOCOL_VERSION = 1;

/**
 * The controller's question. On the wire: deterministic CBOR of this map ‖ HMAC-SHA-256(challenge key `kid`, that CBOR).
 * The device returns the exact bytes; only the controller can read anything into the MAC.
 */
export interface Challenge {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly fleetId: Uint8Array;
  readonly deviceId: string;
  /** The issuer's clock, ms. */
  readonly issuedAt: number;
  /** 16 random bytes. */
  readonly nonce: Uint8Array;
  /** The device row's generation when issued; evidence is accepted only at it. */
  readonly generation: number;
  readonly bank: PcrBank;
  readonly pcrs: readonly number[];
  /** Epoch and last accepted record of the row: the device sends what follows, or all in another epoch. */
  readonly epoch: Epoch | null;
  readonly afterSeq: number;
  readonly policyDigest: Uint8Array;
  readonly kid: string;
  /** ms from `issuedAt` for which an answer counts, where that is longer than the policy's greatest age: it travels in a bundle. */
  readonly validFor?: number;
}

/** Where the log part is: in the message, or sent before it in parts of at most 128 KiB. */
export type LogPart = Uint8Array | { readonly digest: Uint8Array; readonly length: number; readonly parts: number };

/** qualifyingData of the quote = SHA-256(CBOR["touchstone/evidence/1", H(challenge), H(claims), H(log)]). */
export interface EvidenceMessage {
  readonly v: 1;
  readonly crit?: readonly string[];
  /** The challenge exactly as received, MAC included. */
  readonly challenge: Uint8Array;
  /** CBOR of Claims, exact bytes. */
  readonly claims: Uint8Array;
  readonly log: LogPart;
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/** One piece of a log too long for its evidence; parts go before the evidence, in order. */
export interface LogPartMessage {
  readonly v: 1;
  readonly digest: Uint8Array;
  readonly index: number;
  readonly bytes: Uint8Array;
}

export interface EnrolRequest {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly fleetId: Uint8Array;
  readonly deviceId: string;
  /** TPMT_PUBLIC. */
  readonly ekPublic: Uint8Array;
  readonly ekCertificate: Uint8Array | null;
  /** DER certificates between the EK's and a root, where the TPM or firmware has them. */
  readonly ekChain: readonly Uint8Array[];
  readonly akPublic: Uint8Array;
  /** PKCS#10 in DER for the broker certificate. */
  readonly tlsCsr: Uint8Array;
  readonly profile: string;
  readonly profileDigest: Uint8Array;
  readonly token: string | null;
}

export interface EnrolCredential {
  readonly v: 1;
  readonly request: Uint8Array;
  /** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, both with size. */
  readonly credentialBlob: Uint8Array;
  readonly secret: Uint8Array;
}

/** proof = HMAC-SHA-256(S, H(request)); the quote's qualifyingData = SHA-256(CBOR["touchstone/enrol/1", H(request)]). */
export interface EnrolProof {
  readonly v: 1;
  readonly request: Uint8Array;
  readonly proof: Uint8Array;
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

export interface EnrolOutcome {
  readonly v: 1;
  readonly request: Uint8Array;
  readonly outcome: 'pending' | 'approved' | 'rejected';
  readonly reason: string;
  /** DSSE envelope of the Endorsement, JSON. */
  readonly endorsement: string | null;
  /** PEM chain of the device's broker certificate. */
  readonly certificate: string | null;
}

/** Another broker certificate, for a key that the device asked for in evidence. The fleet's authority signed it; nothing else speaks for it. */
export interface CertificateMessage {
  readonly v: 1;
  readonly crit?: readonly string[];
  /** PEM. */
  readonly certificate: string;
}

/** A hint, never trusted: at most it causes a challenge. The last will is the same with `online: false`. */
export interface StatusHint {
  readonly v: 1;
  readonly deviceId: string;
  readonly online: boolean;
  readonly wants: 'nothing' | 'challenge';
}

/** A finding as it is stated: a reader that is older than the rule still takes the result, and shows the rule's name. */
export type StatedFinding = Omit<Finding, 'rule'> & { readonly rule: string };

/** Payload of a DSSE envelope signed by a result key of the root statement, type application/vnd.touchstone.result+json. */
export interface ResultStatement {
  readonly v: 1;
  readonly fleetId: string;
  readonly deviceId: string;
  /** SHA-256 of the evidence message's exact bytes, hex. */
  readonly evidence: string;
  readonly status: Status;
  readonly assurance: Assurance;
  readonly slots: readonly { readonly slot: string; readonly status: Status }[];
  readonly findings: readonly StatedFinding[];
  readonly appraisedAt: number;
  readonly leaseForMs: number;
  readonly exp: number;
  readonly acknowledged: readonly { readonly session: string; readonly n: number }[];
  /** SHA-256 of the `escrow` of that evidence, hex: the controller keeps it. */
  readonly escrowed?: string;
}

/** What hardware proves of the verdict: computed by the verifier, claimed by no device. */
export const ASSURANCES = ['A0', 'A1', 'A2', 'A3'] as const;
export type Assurance = (typeof ASSURANCES)[number];

/** Payload of a DSSE envelope signed by an operator key, type application/vnd.touchstone.command+json. Every body is a desired state. */
export interface Command {
  readonly v: 1;
  readonly fleetId: string;
  readonly deviceId: string;
  /** The session that accepted evidence published, hex; a command for another is ignored. */
  readonly session: string;
  readonly seq: number;
  readonly id: string;
  readonly body: CommandBody;
}

export type CommandBody =
  | {
      readonly kind: 'install';
      readonly slot: string;
      readonly order: number;
      readonly release: string;
      readonly source: string | null;
    }
  | { readonly kind: 'measure'; readonly order: number }
  | {
      /** The version floors that this device asked for (claims.floorGeneration). */
      readonly kind: 'floors';
      readonly order: number;
      /** Floor token of a first write, JSON. */
      readonly token: string;
    };

/**
 * What a bundle asks of a device that nobody can reach: payload of a DSSE envelope signed by an operator key, type
 * application/vnd.touchstone.instruction+json. A desired state like a command's, but good for any session until `notAfter`.
 */
export interface Instruction {
  readonly v: 1;
  readonly fleetId: string;
  readonly deviceId: string;
  readonly id: string;
  readonly slot: string;
  /** Counted with those of commands: the device takes it when it is above the last one that it took for this slot. */
  readonly order: number;
  readonly release: string;
  /** ms since 1970, by the device's time. */
  readonly notAfter: number;
  /** SHA-256 of the sealed challenge that comes with it, hex. */
  readonly challenge: string;
}

/** Immutable outcome of enrolment: payload of a DSSE envelope signed by a result key, type application/vnd.touchstone.endorsement+json. */
export interface Endorsement {
  readonly v: 1;
  readonly fleetId: string;
  readonly deviceId: string;
  /** Hex of TPMT_PUBLIC. */
  readonly ekPublic: string;
  readonly akPublic: string;
  readonly akQualifiedName: string;
  readonly tier: Tier;
  readonly tpm: { readonly manufacturer: string; readonly model: string; readonly version: string } | null;
  /** Subject and SHA-256 of each certificate of the chain that was checked, leaf first. */
  readonly chain: readonly { readonly subject: string; readonly sha256: string }[];
  readonly profile: string;
  readonly approvedBy: string;
  readonly issuedAt: number;
}

/** hardware: a chain to a TPM vendor's root; pinned: the operator named the EK; software: neither, or a software TPM's own CA. */
export type Tier = 'hardware' | 'pinned' | 'software';

export type { Epoch, Finding, Status };

/** Longest life of a challenge that travels by hand: a year. */
export const MAX_VALID_FOR_MS: number = 366 * 86_400_000;

const digest = byteString(32);
const crit = v.exactOptional(v.pipe(v.array(text(64)), v.maxLength(16)));
const der = byteString({ max: 8192 });

export const challengeShape: Shape<Challenge> = v.object({
  v: v.literal(1),
  crit,
  fleetId: byteString(16),
  deviceId: text(64),
  issuedAt: uint(),
  nonce: byteString(16),
  generation: uint(),
  bank: v.picklist(['sha256', 'sha384']),
  pcrs: v.pipe(v.array(uint(23)), v.minLength(1), v.maxLength(24)),
  epoch: v.nullable(epochShape),
  afterSeq: uint(),
  policyDigest: digest,
  kid: text(64),
  validFor: v.exactOptional(uint(MAX_VALID_FOR_MS)),
});

export const evidenceShape: Shape<EvidenceMessage> = v.object({
  v: v.literal(1),
  crit,
  challenge: byteString({ max: 2048 }),
  claims: byteString({ max: 128 * 1024 }),
  log: v.union([
    byteString({ max: 128 * 1024 }),
    v.object({ digest, length: uint(64 * 1024 * 1024), parts: uint(512) }),
  ]),
  attest: byteString({ max: 1024 }),
  signature: byteString({ max: 1024 }),
});

export const logPartShape: Shape<LogPartMessage> = v.object({
  v: v.literal(1),
  digest,
  index: uint(511),
  bytes: byteString({ max: 128 * 1024 }),
});

export const enrolRequestShape: Shape<EnrolRequest> = v.object({
  v: v.literal(1),
  crit,
  fleetId: byteString(16),
  deviceId: text(64),
  ekPublic: byteString({ max: 1024 }),
  ekCertificate: v.nullable(der),
  ekChain: v.pipe(v.array(der), v.maxLength(4)),
  akPublic: byteString({ max: 1024 }),
  tlsCsr: der,
  profile: name,
  profileDigest: digest,
  token: v.nullable(text(128)),
});

export const enrolCredentialShape: Shape<EnrolCredential> = v.object({
  v: v.literal(1),
  request: digest,
  credentialBlob: byteString({ max: 1024 }),
  secret: byteString({ max: 1024 }),
});

export const enrolProofShape: Shape<EnrolProof> = v.object({
  v: v.literal(1),
  request: digest,
  proof: digest,
  attest: byteString({ max: 1024 }),
  signature: byteString({ max: 1024 }),
});

export const enrolOutcomeShape: Shape<EnrolOutcome> = v.object({
  v: v.literal(1),
  request: digest,
  outcome: v.picklist(['pending', 'approved', 'rejected']),
  reason: text(512),
  endorsement: v.nullable(text(16_384)),
  certificate: v.nullable(v.pipe(v.string(), v.maxLength(16_384))),
});

export const certificateMessageShape: Shape<CertificateMessage> = v.object({
  v: v.literal(1),
  crit,
  certificate: v.pipe(v.string(), v.maxLength(16_384)),
});

export const statusHintShape: Shape<StatusHint> = v.object({
  v: v.literal(1),
  deviceId: text(64),
  online: v.boolean(),
  wants: v.picklist(['nothing', 'challenge']),
});
