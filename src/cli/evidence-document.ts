// Takes one evidence message apart for people and scripts: every part read as far as it can be, none of it believed.
import { toHex } from '../bytes/text.ts';
import type { LogEvent } from '../cel/events.ts';
import { sha256 } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import { floorQualifyingData, qualifyingData } from '../evidence/binding.ts';
import { decodeClaims } from '../evidence/claims-codec.ts';
import type { Claims } from '../evidence/claims.ts';
import { readChallenge } from '../protocol/challenge.ts';
import { decodeEvidence } from '../protocol/codec.ts';
import type { Challenge, EvidenceMessage } from '../protocol/messages.ts';
import { readAttestHeader, readQuoteInfo, readSignature } from '../verifier/attest.ts';
import { readEvents } from '../verifier/event-reader.ts';
import { readFloorCertificate } from '../verifier/floor-certificate.ts';
import { readLog } from '../verifier/log-reader.ts';
import { contentDigests, replay } from '../verifier/replay.ts';
import type { Json } from './output.ts';

/** A part whose bytes are not of its format. */
export interface Broken {
  readonly malformed: string;
}

/** `value` as JSON: bytes as hex, integers beyond 2^53 as text. */
export function toJson(value: unknown): Json {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]));
  }
  return value as Json;
}

function readOr<T>(read: () => T): T | Broken {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return { malformed: error.message };
    throw error;
  }
}

export function isBroken(part: object | null): part is Broken {
  return part !== null && 'malformed' in part;
}

/** TPM_ST_ATTEST_…, Part 2, 6.9. */
const ATTEST_TYPES: ReadonlyMap<number, string> = new Map([
  [0x8014, 'NV index'],
  [0x8015, 'command audit'],
  [0x8016, 'session audit'],
  [0x8017, 'certified object'],
  [0x8018, 'quote'],
  [0x8019, 'time'],
  [0x801a, 'creation'],
  [0x801c, 'NV digest'],
]);
const QUOTE = 0x8018;
const BANKS: ReadonlyMap<number, string> = new Map([
  [0x0004, 'sha1'],
  [0x000b, 'sha256'],
  [0x000c, 'sha384'],
  [0x000d, 'sha512'],
]);
const SCHEMES: ReadonlyMap<number, string> = new Map([
  [0x0014, 'RSASSA'],
  [0x0018, 'ECDSA'],
]);
const named = (names: ReadonlyMap<number, string>, id: number): string => names.get(id) ?? `0x${id.toString(16)}`;

export interface ShownRecord {
  readonly recnum: number;
  readonly pcr: number;
  readonly digest: string;
  /** The digest is that of the content. */
  readonly digestFits: boolean;
  readonly event: LogEvent;
}

export interface ShownLog {
  readonly sha256: string;
  readonly bytes: number;
  /** How many messages carried it before the evidence; 0 = it is inside. */
  readonly parts: number;
  /** null: the parts are not at hand. */
  readonly records: readonly ShownRecord[] | null;
  /** The event PCR after the last record, when the log starts at zero PCRs. */
  readonly replayed: string | null;
}

export interface ShownQuote {
  readonly bytes: number;
  readonly madeByTpm: boolean;
  readonly type: string;
  readonly qualifiedSigner: string;
  readonly qualifyingData: string;
  readonly clock: string;
  readonly safe: boolean;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly firmwareVersion: string;
  readonly selection: readonly { readonly bank: string; readonly pcrs: readonly number[] }[] | null;
  readonly pcrDigest: string | null;
}

/** What the claims bring as the TPM's word on its version floors. */
export interface ShownFloors {
  readonly madeByTpm: boolean;
  readonly type: string;
  readonly qualifiedSigner: string;
  /** Made for this challenge. */
  readonly forThisChallenge: boolean;
  readonly indexName: string;
  readonly offset: number;
  /** Those that are whole within the certified bytes; decimal. */
  readonly floors: readonly string[];
}

/** What must be equal in honest evidence. Anybody can make it so; only the signature, which nobody checked here, proves it. */
export interface Agreement {
  /** qualifyingData = H(label, H(challenge), H(claims), H(log)). */
  readonly quoteBindsMessage: boolean | null;
  /** The joined parts are those that the message names; null where it carries the log itself, or they are not at hand. */
  readonly partsFitMessage: boolean | null;
  /** The quoted digest is that of the claimed boot PCRs and the replayed event PCR; null where it cannot be computed. */
  readonly logExplainsQuote: boolean | null;
}

export interface EvidenceDocument {
  readonly sha256: string;
  readonly bytes: number;
  readonly challenge: { readonly sha256: string; readonly bytes: number; readonly says: Challenge | Broken };
  readonly claims: { readonly sha256: string; readonly bytes: number; readonly says: Claims | Broken };
  readonly log: ShownLog | Broken;
  readonly quote: ShownQuote | Broken;
  readonly signature: { readonly bytes: number; readonly scheme: string; readonly hash: string } | Broken;
  /** null: the claims bring none. */
  readonly floors: ShownFloors | Broken | null;
  readonly agreement: Agreement;
}

function recordsOf(log: Uint8Array, fromZero: boolean): Pick<ShownLog, 'records' | 'replayed'> {
  const records = readLog(log);
  const events = readEvents(log, records);
  const digests = contentDigests(records);
  const shown = events.flatMap((event, i): ShownRecord[] => {
    const record = records[i];
    if (record === undefined) return [];
    const { recnum, pcr, digest } = record;
    return [{ recnum, pcr, digest: toHex(Buffer.from(digest, 'latin1')), digestFits: digest === digests[i], event }];
  });
  const replayed = fromZero ? toHex(Buffer.from(replay(new Uint8Array(32), records, events), 'latin1')) : null;
  return { records: shown, replayed };
}

function logOf({ log }: EvidenceMessage, joined: Uint8Array | null, fromZero: boolean): ShownLog {
  const bytes = log instanceof Uint8Array ? log : joined;
  const parts = log instanceof Uint8Array ? 0 : log.parts;
  if (bytes !== null) {
    return { sha256: toHex(sha256(bytes)), bytes: bytes.length, parts, ...recordsOf(bytes, fromZero) };
  }
  const { digest, length } = log as Exclude<EvidenceMessage['log'], Uint8Array>;
  return { sha256: toHex(digest), bytes: length, parts, records: null, replayed: null };
}

function partsFit({ log }: EvidenceMessage, joined: Uint8Array | null): boolean | null {
  if (log instanceof Uint8Array || joined === null) return null;
  return toHex(sha256(joined)) === toHex(log.digest) && joined.length === log.length;
}

function quoteOf(attest: Uint8Array): ShownQuote {
  const header = readAttestHeader(attest);
  const info = header.type === QUOTE ? readQuoteInfo(header.attested) : null;
  const version = Buffer.from(attest).readBigUInt64BE(attest.length - header.attested.length - 8);
  return {
    bytes: attest.length,
    madeByTpm: header.magic === 0xff544347,
    type: named(ATTEST_TYPES, header.type),
    qualifiedSigner: toHex(header.qualifiedSigner),
    qualifyingData: toHex(header.extraData),
    clock: header.clock.toString(),
    safe: header.safe,
    resetCount: header.resetCount,
    restartCount: header.restartCount,
    firmwareVersion: version.toString(16).padStart(16, '0'),
    selection: info?.selection.map(({ bank, pcrs }) => ({ bank: named(BANKS, bank), pcrs })) ?? null,
    pcrDigest: info === null ? null : toHex(info.pcrDigest),
  };
}

function floorsOf(claims: Claims | Broken, challenge: Uint8Array): ShownFloors | Broken | null {
  const read = readFloorCertificate(isBroken(claims) ? undefined : claims.floorCertificate);
  if (read.state === 'absent') return null;
  if (read.state === 'malformed') return { malformed: read.why };
  const { header, indexName, offset, contents } = read.certificate;
  const count = Math.floor(contents.length / 8);
  return {
    madeByTpm: header.magic === 0xff544347,
    type: named(ATTEST_TYPES, header.type),
    qualifiedSigner: toHex(header.qualifiedSigner),
    forThisChallenge: header.extraData.equals(floorQualifyingData(challenge)),
    indexName: toHex(indexName),
    offset,
    floors: Array.from({ length: count }, (_, i) => contents.readBigUInt64BE(i * 8).toString()),
  };
}

/** The quoted digest as challenge, claims and log give it; null where one of them does not say enough. */
function expectedPcrDigest(
  challenge: Challenge | Broken,
  claims: Claims | Broken,
  log: ShownLog | Broken,
): string | null {
  if (isBroken(challenge) || isBroken(claims) || isBroken(log) || log.replayed === null) return null;
  const eventPcr = log.records?.[0]?.pcr;
  if (eventPcr === undefined || claims.bootPcrs.length !== challenge.pcrs.length - 1) return null;
  const others = [...claims.bootPcrs];
  const values = challenge.pcrs.map((pcr) =>
    pcr === eventPcr ? Buffer.from(log.replayed ?? '', 'hex') : (others.shift() ?? Buffer.alloc(0)),
  );
  return toHex(sha256(...values));
}

/** `joined`: the log's parts one after another, where it went before the message. Errors: WireError when the message cannot be read at all. */
export function readEvidenceFile(evidence: Uint8Array, joined: Uint8Array | null): EvidenceDocument {
  const message = decodeEvidence(evidence);
  const challenge = readOr(() => readChallenge(message.challenge));
  const claims = readOr(() => decodeClaims(message.claims));
  const log = readOr(() => logOf(message, joined, !isBroken(claims) && claims.logFrom === 1));
  const quote = readOr(() => quoteOf(message.attest));
  const signature = readOr(() => {
    const { scheme, hash } = readSignature(message.signature);
    return { bytes: message.signature.length, scheme: named(SCHEMES, scheme), hash: named(BANKS, hash) };
  });
  const bytes = message.log instanceof Uint8Array ? message.log : (joined ?? message.log);
  const bound = toHex(qualifyingData(message.challenge, message.claims, bytes));
  const pcrDigest = expectedPcrDigest(challenge, claims, log);
  return {
    sha256: toHex(sha256(evidence)),
    bytes: evidence.length,
    challenge: { sha256: toHex(sha256(message.challenge)), bytes: message.challenge.length, says: challenge },
    claims: { sha256: toHex(sha256(message.claims)), bytes: message.claims.length, says: claims },
    log,
    quote,
    signature,
    floors: floorsOf(claims, message.challenge),
    agreement: {
      quoteBindsMessage: isBroken(quote) ? null : quote.qualifyingData === bound,
      partsFitMessage: partsFit(message, joined),
      logExplainsQuote: isBroken(quote) || pcrDigest === null ? null : quote.pcrDigest === pcrDigest,
    },
  };
}
