// Genuine evidence by a software key that really signs, and a handle at each joint where a test can bend it.
import { createHash, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { toHex } from '../../src/bytes/text.ts';
import type { Components, LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { floorQualifyingData, qualifyingData } from '../../src/evidence/binding.ts';
import type { Claims, FloorCertificateClaim } from '../../src/evidence/claims.ts';
import type { Challenge } from '../../src/protocol/messages.ts';
import { sealChallenge } from '../../src/protocol/challenge.ts';
import type {
  AppraisalInput,
  AppraisalPolicy,
  ReferenceRelease,
  ReferenceValues,
  RowState,
  TrustedEndorsement,
} from '../../src/verifier/types.ts';
import { akPublic, encodeAttest, encodeNvAttest, signAttest } from './attest-builder.ts';
import type { AttestFields, HeadFields, NvFields } from './attest-builder.ts';

export const sha = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const digestOf = (text: string): Buffer => sha(Buffer.from(text));

export const challengeKey: KeyObject = createSecretKey(digestOf('challenge key'));
export const qualifiedName: Buffer = Buffer.concat([Buffer.from([0, 0x0b]), digestOf('ak')]);
export const fleetId: Buffer = digestOf('fleet').subarray(0, 16);
export const session: Buffer = digestOf('session').subarray(0, 16);
export const deviceId = 'abcdefghijklmnopqrstuvwxyz234567';
export const EVENT_PCR = 15;
export const NOW = 1_800_000_000_000;
export const EMPTY_MANIFEST: Buffer = sha(Buffer.from([0x80]));

export const components: Components = {
  agent: digestOf('agent'),
  node: digestOf('node'),
  profile: digestOf('profile'),
  trust: digestOf('trust'),
  runtime: null,
  gateMode: 'none',
};

export const release: ReferenceRelease = {
  id: toHex(digestOf('release')),
  modelId: 'lane-keeper',
  version: '1.0.0',
  securityVersion: 1,
  slotRole: 'perception',
  hardwareClass: ['edge-x64'],
  statement: digestOf('statement'),
  manifest: digestOf('manifest'),
  signedBy: toHex(digestOf('publisher')),
  withdrawn: false,
};

export const boot: LogEvent = { v: 1, type: 'boot', deviceId, why: 'first', components };
export const agentStart: LogEvent = { v: 1, type: 'agent-start', session, previous: 'first', components };
export const slotEvent: SlotEvent = {
  v: 1,
  type: 'slot',
  slot: 'main',
  cause: 'measured',
  release: digestOf('release'),
  statement: digestOf('statement'),
  manifest: digestOf('manifest'),
  configs: digestOf('configs'),
  differing: [],
  more: 0,
};

export const bootPcrs: readonly Buffer[] = [digestOf('pcr 0'), digestOf('pcr 7')];

export const reference: ReferenceValues = {
  profile: {
    id: 'edge',
    digest: digestOf('profile'),
    hardwareClass: 'edge-x64',
    bank: 'sha256',
    eventPcr: EVENT_PCR,
    bootPcrs: [0, 7],
    maxDetectionSeconds: 60,
    slots: [
      {
        name: 'main',
        role: 'perception',
        modelIds: ['lane-keeper'],
        required: true,
        configs: digestOf('configs'),
      },
    ],
  },
  floorIndex: Buffer.concat([Buffer.from([0, 0x0b]), digestOf('index of the floors')]),
  releases: new Map([[release.id, release]]),
  components: [components],
  bootPcrs: new Map([
    [0, new Set([toHex(digestOf('pcr 0'))])],
    [7, new Set([toHex(digestOf('pcr 7'))])],
  ]),
  bootCoversAgent: true,
};

export const policy: AppraisalPolicy = {
  maxAgeMs: 30_000,
  maxSkewMs: 5_000,
  leaseForMs: 60_000,
  digest: digestOf('policy'),
  challengeKeys: new Map([['k1', challengeKey]]),
};

export const endorsement: TrustedEndorsement = {
  endorsement: {
    v: 1,
    fleetId: toHex(fleetId),
    deviceId,
    ekPublic: '00',
    akPublic: '00',
    akQualifiedName: toHex(qualifiedName),
    tier: 'hardware',
    tpm: null,
    chain: [],
    profile: 'edge',
    approvedBy: 'test',
    issuedAt: 1,
  },
  akKey: akPublic,
  akQualifiedName: qualifiedName,
};

export const freshRow: RowState = { generation: 3, log: null, clock: 0n, maxResetCount: 0 };

export interface RecordFields {
  recnum: number;
  pcr: number;
  digest: Uint8Array;
  content: Uint8Array;
}

function head(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  if (value < 256) return Buffer.from([(major << 5) | 24, value]);
  if (value < 65_536) return Buffer.from([(major << 5) | 25, value >> 8, value & 255]);
  const bytes = Buffer.alloc(5);
  bytes[0] = (major << 5) | 26;
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

export function encodeRecordFields({ recnum, pcr, digest, content }: RecordFields): Buffer {
  return Buffer.concat([
    Buffer.from([0xa4, 0x00]),
    head(0, recnum),
    Buffer.from([0x01]),
    head(0, pcr),
    Buffer.from([0x03, 0xa1, 0x0b]),
    head(2, digest.length),
    digest,
    Buffer.from([0x18, 84]),
    head(2, content.length),
    content,
  ]);
}

export function encodeRecords(records: readonly RecordFields[]): Buffer {
  return Buffer.concat([head(4, records.length), ...records.map(encodeRecordFields)]);
}

export function recordsOf(events: readonly LogEvent[], from = 1): RecordFields[] {
  return events.map((event, i) => {
    const content = encodeCbor(event as unknown as CborValue);
    return { recnum: from + i, pcr: EVENT_PCR, digest: sha(content), content };
  });
}

/** Each handle gets the genuine thing and gives what to use in its place; all that follows is made to fit it. */
export interface Bend {
  events?: readonly LogEvent[];
  firstRecord?: number;
  startPcr?: Uint8Array;
  challenge?: (challenge: Challenge) => Challenge;
  sealWith?: KeyObject;
  records?: (records: RecordFields[]) => RecordFields[];
  log?: (log: Buffer) => Buffer;
  claims?: (claims: Claims) => Claims;
  attest?: (attest: AttestFields) => AttestFields;
  attestBytes?: (attest: Buffer) => Buffer;
  signature?: (attest: Buffer) => Buffer;
  /** Claims with floors come with their certificate, floor by floor in their order; null: without it. */
  certificate?: (fields: NvFields) => NvFields | null;
  certificateSignature?: (attest: Buffer) => Buffer;
  certificateBytes?: (certificate: FloorCertificateClaim) => FloorCertificateClaim;
  message?: (message: Record<string, CborValue>) => Record<string, CborValue>;
  input?: (input: AppraisalInput) => AppraisalInput;
  eventPcr?: number;
  pcrValues?: (values: Uint8Array[]) => Uint8Array[];
  row?: RowState;
}

export const genuineEvents: readonly LogEvent[] = [boot, agentStart, slotEvent];

function certificateOf(bend: Bend, common: HeadFields, { floors }: Claims): Pick<Claims, 'floorCertificate'> {
  const held = floors?.some(({ floor }) => floor !== null) ?? false;
  const contents = Buffer.alloc(64);
  for (const [i, { floor }] of floors?.entries() ?? []) contents.writeBigUInt64BE(BigInt(floor ?? 0), i * 8);
  const indexName = reference.floorIndex ?? Buffer.alloc(0);
  const fields: NvFields = { ...common, type: 0x8014, indexName, offset: 0, contents };
  const bent = bend.certificate === undefined || !held ? fields : bend.certificate(fields);
  if (bent === null || !held) return {};
  const attest = encodeNvAttest(bent);
  const certificate = { attest, signature: bend.certificateSignature?.(attest) ?? signAttest(attest) };
  return { floorCertificate: bend.certificateBytes?.(certificate) ?? certificate };
}

export function extendAll(start: Uint8Array, records: readonly RecordFields[]): Buffer {
  return records.reduce<Buffer>((value, { digest }) => sha(value, digest), Buffer.from(start));
}

export function build(bend: Bend = {}): AppraisalInput {
  const row = bend.row ?? freshRow;
  const challenge: Challenge = {
    v: 1,
    fleetId,
    deviceId,
    issuedAt: NOW - 1000,
    nonce: digestOf('nonce').subarray(0, 16),
    generation: row.generation,
    bank: 'sha256',
    pcrs: [0, 7, bend.eventPcr ?? EVENT_PCR],
    epoch: row.log?.epoch ?? null,
    afterSeq: row.log?.seq ?? 0,
    policyDigest: policy.digest,
    kid: 'k1',
  };
  const asked = bend.challenge?.(challenge) ?? challenge;
  const sealed = sealChallenge(asked, bend.sealWith ?? challengeKey);
  const events = bend.events ?? genuineEvents;
  const from = bend.firstRecord ?? 1;
  const genuine = recordsOf(events, from);
  const records = bend.records?.(genuine) ?? genuine;
  const log = bend.log?.(encodeRecords(records)) ?? encodeRecords(records);
  const pcr = extendAll(bend.startPcr ?? Buffer.alloc(32), bend.records === undefined ? genuine : records);
  const epoch = { resetCount: 4, restartCount: 0 };
  const claims: Claims = {
    v: 1,
    fleetId,
    deviceId,
    session,
    agentVersion: '0.1.0',
    profile: 'edge',
    profileDigest: digestOf('profile'),
    epoch,
    logFrom: from,
    logTo: from + records.length - 1,
    lastSeq: 0,
    slots: [{ slot: 'main', state: 'active', release: digestOf('release'), version: '1.0.0', securityVersion: 1 }],
    reports: [],
    bootPcrs,
    now: NOW,
    measuredAgo: 100,
  };
  const bent = bend.claims?.(claims) ?? claims;
  const common: HeadFields = {
    magic: 0xff544347,
    type: 0x8018,
    qualifiedSigner: qualifiedName,
    extraData: floorQualifyingData(sealed),
    clock: 500_000n,
    ...epoch,
    safe: 1,
  };
  const claimed = { ...bent, ...certificateOf(bend, common, bent) };
  const claimBytes = encodeCbor(claimed as unknown as CborValue);
  const values = [...bootPcrs, pcr];
  const fields: AttestFields = {
    ...common,
    extraData: qualifyingData(sealed, claimBytes, log),
    banks: [{ alg: 0x000b, pcrs: asked.pcrs }],
    pcrDigest: sha(...(bend.pcrValues?.(values) ?? values)),
  };
  const plain = encodeAttest(bend.attest?.(fields) ?? fields);
  const attest = bend.attestBytes?.(plain) ?? plain;
  const signature = bend.signature?.(attest) ?? signAttest(attest);
  const message: Record<string, CborValue> = { v: 1, challenge: sealed, claims: claimBytes, log, attest, signature };
  const evidence = encodeCbor(bend.message?.(message) ?? message);
  const input: AppraisalInput = { evidence, log: null, endorsement, reference, policy, row, now: NOW };
  return bend.input?.(input) ?? input;
}
