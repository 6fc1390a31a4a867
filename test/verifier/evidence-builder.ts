// Genuine evidence by a software key that really signs, and a handle at each joint where a test can bend it.
import { createHash, createSecretKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { toHex } from '../../src/bytes/text.ts';
import type { Components, LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { qualifyingData } from '../../src/evidence/binding.ts';
import type { Claims } from '../../src/evidence/claims.ts';
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

export const sha = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const digestOf = (text: string): Buffer => sha(Buffer.from(text));

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const akPrivate: KeyObject = privateKey;
export const akPublic: KeyObject = publicKey;
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

export interface AttestFields {
  magic: number;
  type: number;
  qualifiedSigner: Uint8Array;
  extraData: Uint8Array;
  clock: bigint;
  resetCount: number;
  restartCount: number;
  safe: number;
  banks: { alg: number; pcrs: readonly number[] }[];
  pcrDigest: Uint8Array;
}

const sized = (bytes: Uint8Array): Buffer => {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
};

export function encodeAttest(fields: AttestFields): Buffer {
  const start = Buffer.alloc(6);
  start.writeUInt32BE(fields.magic, 0);
  start.writeUInt16BE(fields.type, 4);
  const clock = Buffer.alloc(25);
  clock.writeBigUInt64BE(fields.clock, 0);
  clock.writeUInt32BE(fields.resetCount, 8);
  clock.writeUInt32BE(fields.restartCount, 12);
  clock[16] = fields.safe;
  const count = Buffer.alloc(4);
  count.writeUInt32BE(fields.banks.length);
  const banks = fields.banks.map(({ alg, pcrs }) => {
    const select = Buffer.from([alg >> 8, alg & 255, 3, 0, 0, 0]);
    for (const pcr of pcrs) select[3 + (pcr >> 3)] = (select[3 + (pcr >> 3)] ?? 0) | (1 << (pcr & 7));
    return select;
  });
  return Buffer.concat([
    start,
    sized(fields.qualifiedSigner),
    sized(fields.extraData),
    clock,
    count,
    ...banks,
    sized(fields.pcrDigest),
  ]);
}

/** TPMT_SIGNATURE with scheme ECDSA and the hash `alg`. */
export function signAttest(attest: Uint8Array, key: KeyObject = akPrivate, alg = 0x000b, digest = 'sha256'): Buffer {
  const rs = sign(digest, attest, { key, dsaEncoding: 'ieee-p1363' });
  const half = rs.length / 2;
  return Buffer.concat([
    Buffer.from([0x00, 0x18, alg >> 8, alg & 255]),
    sized(rs.subarray(0, half)),
    sized(rs.subarray(half)),
  ]);
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
  message?: (message: Record<string, CborValue>) => Record<string, CborValue>;
  input?: (input: AppraisalInput) => AppraisalInput;
  eventPcr?: number;
  pcrValues?: (values: Uint8Array[]) => Uint8Array[];
  row?: RowState;
}

export const genuineEvents: readonly LogEvent[] = [boot, agentStart, slotEvent];

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
  const claimed = bend.claims?.(claims) ?? claims;
  const claimBytes = encodeCbor(claimed as unknown as CborValue);
  const values = [...bootPcrs, pcr];
  const fields: AttestFields = {
    magic: 0xff544347,
    type: 0x8018,
    qualifiedSigner: qualifiedName,
    extraData: qualifyingData(sealed, claimBytes, log),
    clock: 500_000n,
    ...epoch,
    safe: 1,
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
