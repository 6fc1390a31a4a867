// What signers say: the release passport, the fleet root statement, and the file every device ships with.
import { hexString, name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';

/** in-toto predicate type of the passport. */
export const PASSPORT_TYPE = 'https://touchstone/passport/v1';

/**
 * What OMS leaves out: which model, how new, for which slot and hardware, how long. Predicate of an in-toto Statement v1 whose one
 * subject has the digest sha256 = statementDigest; signed in a DSSE envelope by a key that the root names for this model id.
 */
export interface Passport {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly modelId: string;
  /** For people; never compared. */
  readonly version: string;
  /** Raised only to withdraw what is older; compared with the running one and the floor. */
  readonly securityVersion: number;
  readonly slotRole: string;
  /** Hardware classes that it may run on. */
  readonly hardwareClass: readonly string[];
  readonly minimumAgent: string;
  /** ms since 1970; null = no bound. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  /** SHA-256 of the OMS statement's exact bytes (the DSSE payload of model.sig), hex. */
  readonly statementDigest: string;
  /** SHA-256 of the canonical manifest of the model's files (release/manifest.ts), hex. */
  readonly manifestDigest: string;
  readonly predecessor: string | null;
  /** Release ids that must not be installed any more. */
  readonly withdraws: readonly string[];
  readonly intendedUse: string | null;
  /** Path of the model card inside the model. */
  readonly modelCard: string | null;
  /** Path inside the model of the description of its health check. */
  readonly healthCheck?: string;
  /** What others attested of how it was trained, built and evaluated: in-toto, SLSA, CycloneDX ML-BOM. */
  readonly attestations?: readonly PassportAttestation[];
  /** The change of a predetermined change control plan that this release is (FDA, PCCP). */
  readonly pccpChangeId?: string;
}

/** A document that lies elsewhere, bound by its digest. */
export interface PassportAttestation {
  /** Its in-toto predicate type, or what else says how to read it. */
  readonly type: string;
  /** SHA-256 of the document's exact bytes, hex. */
  readonly digest: string;
}

/** fleet.json: ships in the firmware; nothing is pinned over the wire. */
export interface FleetFile {
  readonly v: 1;
  /** 16 bytes, hex. */
  readonly fleetId: string;
  readonly root: { readonly threshold: number; readonly keys: readonly RootKey[] };
  readonly broker: {
    /** mqtts://host:port for enrolled devices (client certificate). */
    readonly url: string;
    /** mqtts://host:port where a new device can only enrol. */
    readonly enrolUrl: string;
    readonly caPem: string;
  };
  /** ms; no device believes in an earlier time. */
  readonly minimumTime: number;
}

export interface RootKey {
  /** SHA-256 of the DER SPKI, hex. */
  readonly id: string;
  readonly publicPem: string;
}

/** The key table of design §3: who may say what. DSSE payload, type application/vnd.touchstone.root+json, threshold of root keys. */
export interface RootStatement {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly fleetId: string;
  /** Rises by one with each new statement; a device never goes back. */
  readonly version: number;
  readonly issuedAt: number;
  readonly expires: number;
  readonly root: { readonly threshold: number; readonly keys: readonly RootKey[] };
  readonly publishers: readonly (RootKey & { readonly modelIds: readonly string[] })[];
  /** Model ids whose passports need several publishers' signatures; one is enough for all others. Critical where it is there. */
  readonly releaseThresholds?: readonly { readonly modelId: string; readonly threshold: number }[];
  /** Raise floors. The first one is part of what every TPM holds, and stays the first. */
  readonly floor: readonly RootKey[];
  /** Writes the floors of one device anew, and raises one without the bound of a step; never replaced, for the same reason. */
  readonly floorRecovery?: RootKey;
  /** Devices seal the auth values of their TPMs to it (P-256); opens nothing of a model, and moves no floor. */
  readonly escrow?: RootKey;
  /** Sign which endorsement keys may enrol without a person's approval, each as devices of these profiles; prove nothing of a TPM. */
  readonly stations?: readonly (RootKey & { readonly profiles: readonly string[] })[];
  readonly operators: readonly RootKey[];
  readonly results: readonly RootKey[];
  readonly enrolmentCaPem: string;
  readonly revoked: readonly { readonly id: string; readonly reason: string; readonly at: number }[];
}

/** One file of a model: what manifests are made of. */
export interface ManifestEntry {
  /** POSIX path relative to the model's root, byte-exact. */
  readonly path: string;
  readonly size: number;
  readonly sha256: Uint8Array;
}

const key = v.object({ id: hexString(32), publicPem: v.pipe(v.string(), v.maxLength(4096)) });
const keys = v.pipe(v.array(key), v.maxLength(64));
const roots = v.pipe(
  v.object({ threshold: v.pipe(uint(16), v.minValue(1)), keys: v.pipe(keys, v.minLength(1)) }),
  v.check((root) => root.threshold <= root.keys.length, 'threshold above the number of keys'),
);
const crit = v.exactOptional(v.pipe(v.array(text(64)), v.maxLength(16)));

export const passportShape: Shape<Passport> = v.object({
  v: v.literal(1),
  crit,
  modelId: text(128),
  version: text(128),
  securityVersion: uint(),
  slotRole: name,
  hardwareClass: v.pipe(v.array(name), v.minLength(1), v.maxLength(64)),
  minimumAgent: text(64),
  notBefore: v.nullable(uint()),
  notAfter: v.nullable(uint()),
  statementDigest: hexString(32),
  manifestDigest: hexString(32),
  predecessor: v.nullable(hexString(32)),
  withdraws: v.pipe(v.array(hexString(32)), v.maxLength(1024)),
  intendedUse: v.nullable(text(2048)),
  modelCard: v.nullable(text(1024)),
  healthCheck: v.exactOptional(text(1024)),
  attestations: v.exactOptional(v.pipe(v.array(v.object({ type: text(256), digest: hexString(32) })), v.maxLength(32))),
  pccpChangeId: v.exactOptional(text(128)),
});

export const fleetFileShape: Shape<FleetFile> = v.object({
  v: v.literal(1),
  fleetId: hexString(16),
  root: roots,
  broker: v.object({ url: text(512), enrolUrl: text(512), caPem: v.pipe(v.string(), v.maxLength(16_384)) }),
  minimumTime: uint(),
});

export const rootStatementShape: Shape<RootStatement> = v.object({
  v: v.literal(1),
  crit,
  fleetId: hexString(16),
  version: v.pipe(uint(), v.minValue(1)),
  issuedAt: uint(),
  expires: uint(),
  root: roots,
  publishers: v.pipe(
    v.array(v.object({ ...key.entries, modelIds: v.pipe(v.array(text(128)), v.minLength(1), v.maxLength(256)) })),
    v.maxLength(256),
  ),
  releaseThresholds: v.exactOptional(
    v.pipe(v.array(v.object({ modelId: text(128), threshold: v.pipe(uint(16), v.minValue(1)) })), v.maxLength(256)),
  ),
  floor: keys,
  floorRecovery: v.exactOptional(key),
  escrow: v.exactOptional(key),
  stations: v.exactOptional(
    v.pipe(
      v.array(v.object({ ...key.entries, profiles: v.pipe(v.array(name), v.minLength(1), v.maxLength(64)) })),
      v.maxLength(64),
    ),
  ),
  operators: keys,
  results: keys,
  enrolmentCaPem: v.pipe(v.string(), v.maxLength(16_384)),
  revoked: v.pipe(v.array(v.object({ id: hexString(32), reason: text(512), at: uint() })), v.maxLength(1024)),
});
