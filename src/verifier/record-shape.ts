// Everything that one acceptance looked at, as bytes that can be signed and kept: with it anybody appraises the same evidence again.
import { decodeCbor, encodeCbor } from '../bytes/cbor.ts';
import type { CborValue } from '../bytes/cbor.ts';
import { byteString, hexString, name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { componentsShape, logStateShape } from './log-state-codec.ts';
import type { AppraisalInput, ReferenceRelease, ReferenceValues, RowState } from './types.ts';

/** A record holds a log of at most about this; one that came in more parts is not recorded. */
export const RECORD_BYTES: number = 16 * 1024 * 1024;
const LIMITS = { maxBytes: RECORD_BYTES, maxDepth: 16, maxItems: 500_000 };
const MAX_RELEASES = 10_000;

type Profile = ReferenceValues['profile'];
type Reference = Omit<ReferenceValues, 'releases' | 'bootPcrs'> & {
  readonly releases: readonly ReferenceRelease[];
  readonly bootPcrs: readonly { readonly pcr: number; readonly digests: readonly string[] }[];
};

/** AppraisalInput without the endorsement, which is a statement of its own, and without the keys of challenges, which stay secret. */
export interface AcceptanceRecord {
  readonly v: 1;
  readonly fleetId: string;
  readonly deviceId: string;
  /** When it was appraised, ms. */
  readonly now: number;
  /** An operator had set the device aside. */
  readonly aside: boolean;
  readonly evidence: Uint8Array;
  readonly log: Uint8Array | null;
  readonly row: Omit<RowState, 'clock'> & { readonly clock: number | bigint };
  readonly policy: {
    readonly maxAgeMs: number;
    readonly maxSkewMs: number;
    readonly leaseForMs: number;
    readonly digest: Uint8Array;
  };
  readonly reference: Reference;
}

const digest = byteString(32);
/** Bounded by the whole. */
const rest: Shape<Uint8Array> = v.instance(Uint8Array);
/** UINT64: a number as far as numbers are exact. */
const uint64: Shape<number | bigint> = v.union([
  uint(),
  v.pipe(v.bigint(), v.minValue(BigInt(Number.MAX_SAFE_INTEGER)), v.maxValue(2n ** 64n - 1n)),
]);

const profileShape: Shape<Profile> = v.strictObject({
  id: name,
  digest,
  hardwareClass: name,
  bank: v.literal('sha256'),
  eventPcr: uint(23),
  bootPcrs: v.pipe(v.array(uint(23)), v.maxLength(24)),
  maxDetectionSeconds: uint(),
  slots: v.pipe(
    v.array(
      v.strictObject({
        floor: v.exactOptional(uint(7)),
        plannedChanges: v.exactOptional(v.pipe(v.array(text(128)), v.maxLength(256))),
        breakGlassSeconds: v.exactOptional(uint()),
        name,
        role: name,
        modelIds: v.pipe(v.array(text(128)), v.maxLength(64)),
        required: v.boolean(),
        engine: v.exactOptional(v.literal(true)),
        configs: v.nullable(digest),
      }),
    ),
    v.maxLength(32),
  ),
});

const releaseShape: Shape<ReferenceRelease> = v.strictObject({
  id: hexString(32),
  modelId: text(128),
  version: text(128),
  securityVersion: uint(),
  slotRole: name,
  hardwareClass: v.pipe(v.array(name), v.maxLength(64)),
  statement: digest,
  manifest: digest,
  signedBy: text(256),
  withdrawn: v.boolean(),
  pccpChangeId: v.exactOptional(text(128)),
  lapsed: v.exactOptional(
    v.array(
      v.strictObject({
        rule: v.picklist(['release-signer-revoked', 'release-threshold']),
        expected: v.pipe(v.string(), v.maxLength(4096)),
        found: v.pipe(v.string(), v.maxLength(4096)),
      }),
    ),
  ),
});

const referenceShape: Shape<Reference> = v.strictObject({
  profile: profileShape,
  floorIndex: v.exactOptional(byteString({ max: 66 })),
  releases: v.pipe(v.array(releaseShape), v.maxLength(MAX_RELEASES)),
  components: v.nullable(v.pipe(v.array(componentsShape), v.maxLength(64))),
  bootPcrs: v.pipe(
    v.array(v.strictObject({ pcr: uint(23), digests: v.pipe(v.array(hexString(32)), v.maxLength(1024)) })),
    v.maxLength(24),
  ),
  bootCoversAgent: v.boolean(),
});

export const acceptanceShape: Shape<AcceptanceRecord> = v.strictObject({
  v: v.literal(1),
  fleetId: hexString(16),
  deviceId: text(64),
  now: uint(),
  aside: v.boolean(),
  evidence: rest,
  log: v.nullable(rest),
  row: v.strictObject({
    generation: uint(),
    log: v.nullable(logStateShape),
    clock: uint64,
    maxResetCount: uint(0xffff_ffff),
  }),
  policy: v.strictObject({ maxAgeMs: uint(), maxSkewMs: uint(), leaseForMs: uint(), digest }),
  reference: referenceShape,
});

/** What `input` was, for a device of this fleet. */
export function recordOf(input: AppraisalInput, fleetId: string, aside: boolean): AcceptanceRecord {
  const { evidence, log, endorsement, reference, policy, row, now } = input;
  const { maxAgeMs, maxSkewMs, leaseForMs, digest: policyDigest } = policy;
  const bootPcrs = [...reference.bootPcrs].map(([pcr, digests]) => ({ pcr, digests: [...digests] }));
  return {
    v: 1,
    fleetId,
    deviceId: endorsement.endorsement.deviceId,
    now,
    aside,
    evidence,
    log,
    row,
    policy: { maxAgeMs, maxSkewMs, leaseForMs, digest: policyDigest },
    reference: { ...reference, releases: [...reference.releases.values()], bootPcrs },
  };
}

/** What appraisal takes, but for the endorsement; no challenge key is known. */
export function inputOf(record: AcceptanceRecord): Omit<AppraisalInput, 'endorsement'> {
  const { evidence, log, row, policy, reference, now } = record;
  return {
    evidence,
    log,
    row: { ...row, clock: BigInt(row.clock) },
    policy: { ...policy, challengeKeys: new Map() },
    reference: {
      ...reference,
      releases: new Map(reference.releases.map((release) => [release.id, release])),
      bootPcrs: new Map(reference.bootPcrs.map(({ pcr, digests }) => [pcr, new Set(digests)])),
    },
    now,
  };
}

/** Deterministic CBOR. Errors: RangeError for more than RECORD_BYTES. */
export function encodeAcceptance(record: AcceptanceRecord): Buffer {
  const bytes = encodeCbor(record as unknown as CborValue);
  if (bytes.length > RECORD_BYTES) throw new RangeError(`a record of ${bytes.length} bytes, at most ${RECORD_BYTES}`);
  return bytes;
}

/** Errors: WireError. */
export function decodeAcceptance(bytes: Uint8Array): AcceptanceRecord {
  return parseShape(acceptanceShape, decodeCbor(bytes, LIMITS), 'record');
}
