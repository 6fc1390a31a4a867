// The firmware's event log (Linux: binary_bios_measurements) as a list of events: crypto-agile format, bounded, nothing skipped.
import { Reader } from '../bytes/wire.ts';
import { sized32le, u16le, u32le } from './little-endian.ts';
import { EV_NO_ACTION } from './event-types.ts';

/** One TCG_PCR_EVENT2. Only `pcr` and `digest` are proved, by a replay that gives the quoted PCR. */
export interface FirmwareEvent {
  /** Place in the log; the header is 0, so the first event is 1. */
  readonly index: number;
  readonly pcr: number;
  /** UNTRUSTED: the type is in no digest. Whoever can write the log can give any event any type. */
  readonly type: number;
  /** What the SHA-256 bank was extended with (nothing for EV_NO_ACTION). */
  readonly digest: Buffer;
  /** UNTRUSTED unless `dataIsBound` of explain.ts says that `digest` is the digest of exactly these bytes. */
  readonly data: Buffer;
}

export interface FirmwareLog {
  readonly events: readonly FirmwareEvent[];
}

/** Bytes of a whole log, of one event's data, and the number of events: far above what firmware writes. */
export const LOG_LIMITS = { bytes: 8_388_608, data: 1_048_576, events: 16_384 } as const;

const SPEC_ID = Buffer.from('Spec ID Event03\0', 'latin1');
const TPM_ALG_SHA256 = 0x000b;
/** Digest sizes of the TCG algorithm registry; a header that says otherwise moves every later field. */
const DIGEST_SIZES: Readonly<Record<number, number>> = { 0x04: 20, 0x0b: 32, 0x0c: 48, 0x0d: 64, 0x12: 32 };
const MAX_ALGORITHMS = 8;

/** TCG_PCR_EVENT with TCG_EfiSpecIDEvent, PC Client PFP 1.05, 10.4.5.1: gives the algorithms of every digest list. */
function readHeader(from: Reader): ReadonlySet<number> {
  from.path = 'header';
  if (u32le(from) !== 0 || u32le(from) !== EV_NO_ACTION || from.take(20).some((byte) => byte !== 0)) {
    from.fail('WIRE_MALFORMED', 'does not begin with a spec-id event; SHA-1 logs of TPM 1.2 are not accepted');
  }
  const inner = from.within(u32le(from));
  if (!inner.take(SPEC_ID.length).equals(SPEC_ID)) inner.fail('WIRE_MALFORMED', 'not a crypto-agile log');
  // platformClass, then specVersionMinor, specVersionMajor, specErrata and uintnSize.
  inner.take(8);
  const count = u32le(inner);
  if (count === 0 || count > MAX_ALGORITHMS) inner.fail('WIRE_LIMIT', `${count} algorithms`);
  const algorithms = new Set<number>();
  for (let i = 0; i < count; i++) {
    const [algorithm, size] = [u16le(inner), u16le(inner)];
    if (DIGEST_SIZES[algorithm] !== size || algorithms.has(algorithm)) {
      inner.fail('WIRE_RANGE', `algorithm 0x${algorithm.toString(16)} of ${size} bytes is unknown, wrong or repeated`);
    }
    algorithms.add(algorithm);
  }
  inner.take(inner.uint(1));
  inner.end();
  if (!algorithms.has(TPM_ALG_SHA256)) from.fail('WIRE_RANGE', 'has no SHA-256 digests');
  return algorithms;
}

/** TPML_DIGEST_VALUES: exactly the header's algorithms, each once. */
function readDigests(from: Reader, algorithms: ReadonlySet<number>): Buffer {
  const count = u32le(from);
  if (count !== algorithms.size) from.fail('WIRE_RANGE', `${count} digests, ${algorithms.size} algorithms`);
  const seen = new Set<number>();
  let found: Buffer | null = null;
  for (let i = 0; i < count; i++) {
    const algorithm = u16le(from);
    if (!algorithms.has(algorithm) || seen.has(algorithm)) {
      from.fail('WIRE_RANGE', `algorithm 0x${algorithm.toString(16)} is not of the header or repeated`);
    }
    seen.add(algorithm);
    const digest = from.take(DIGEST_SIZES[algorithm] ?? 0);
    if (algorithm === TPM_ALG_SHA256) found = digest;
  }
  return found ?? from.fail('WIRE_RANGE', 'no SHA-256 digest');
}

function readEvent(from: Reader, index: number, algorithms: ReadonlySet<number>): FirmwareEvent {
  from.path = `events[${index}]`;
  const pcr = u32le(from);
  // EV_NO_ACTION may name PCR 0xffffffff: it is for nobody's PCR.
  const type = u32le(from);
  if (pcr > 23 && !(type === EV_NO_ACTION && pcr === 0xffffffff)) from.fail('WIRE_RANGE', `PCR ${pcr}`);
  const digest = readDigests(from, algorithms);
  return { index, pcr, type, digest, data: sized32le(from, LOG_LIMITS.data) };
}

/** Reads a whole log. Bytes after the last event are an error. Errors: WireError. */
export function readFirmwareLog(bytes: Uint8Array): FirmwareLog {
  const from = new Reader(bytes, 'header');
  if (bytes.length > LOG_LIMITS.bytes) from.fail('WIRE_LIMIT', `${bytes.length} bytes, at most ${LOG_LIMITS.bytes}`);
  const algorithms = readHeader(from);
  const events: FirmwareEvent[] = [];
  while (from.left > 0) {
    if (events.length === LOG_LIMITS.events) from.fail('WIRE_LIMIT', `more than ${LOG_LIMITS.events} events`);
    events.push(readEvent(from, events.length + 1, algorithms));
  }
  return { events };
}
