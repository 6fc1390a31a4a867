// C9, messages that eat memory, stack or time: every size, depth and count is bounded before anything is built of it.
import { describe, expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { parseJsonStrict } from '../../src/bytes/json-strict.ts';
import { decodeLog } from '../../src/cel/record.ts';
import { parseDsse } from '../../src/crypto/dsse.ts';
import { readRequest } from '../../src/crypto/certificates.ts';
import { certificatesOf } from '../../src/crypto/ek-certificate.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import { decode } from '../../src/bytes/wire.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { MAX_FINDINGS } from '../../src/verifier/findings.ts';
import { readLog } from '../../src/verifier/log-reader.ts';
import { outcomeOf } from '../support/wire-outcome.ts';
import {
  agentStart,
  boot,
  build,
  digestOf,
  encodeRecords,
  recordsOf,
  reference,
  session,
  slotEvent,
} from '../verifier/evidence-builder.ts';
import { withClaims } from '../verifier/attack.ts';

const refused = (read: () => unknown): boolean => outcomeOf(read).refused === true;
const MIB = 1024 * 1024;

/** Bytes that the process holds more after `work` than before. */
function grownBy(work: () => void): number {
  const before = process.memoryUsage();
  work();
  const after = process.memoryUsage();
  return after.heapUsed + after.external - before.heapUsed - before.external;
}

describe('a count or length that promises more than there is', () => {
  test.each<[string, string, (bytes: Buffer) => unknown]>([
    ['CBOR: 2^64 − 1 items', '9bffffffffffffffff', decodeCbor],
    ['CBOR: 2^63 pairs', 'bb8000000000000000', decodeCbor],
    ['CBOR: 2^64 − 1 bytes', '5bffffffffffffffff', decodeCbor],
    ['CBOR: 2^32 − 1 characters', '7affffffff', decodeCbor],
    ['a log of 2^32 − 1 records', '9affffffff', readLog],
    ['a log of 2^32 − 1 records, on the device', '9affffffff', decodeLog],
    ['a record of 2^32 − 1 bytes', `81a40001010f03a10b5820${'00'.repeat(32)}18545affffffff`, readLog],
    ['a record of 2^32 − 1 bytes, on the device', `81a40001010f03a10b5820${'00'.repeat(32)}18545affffffff`, decodeLog],
    ['an attestation of 65,535 bytes of name', 'ff54434780180ffff', (bytes) => decode(TpmsAttest, bytes)],
    ['a public area of 65,535 bytes of policy', '0023000b00050472ffff', (bytes) => decode(TpmtPublic, bytes)],
  ])('%s: is refused without growing', (_, hex, read) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(grownBy(() => expect(refused(() => read(bytes))).toBe(true))).toBeLessThan(16 * MIB);
  });
});

describe('depth', () => {
  test('of CBOR ends at its limit, whatever is in the message', () => {
    for (const open of [0x81, 0xa1]) {
      const deep = Buffer.concat([
        Buffer.alloc(100_000, open === 0x81 ? Buffer.from([0x81]) : Buffer.from('a16161', 'hex')),
        Buffer.from([0]),
      ]);
      expect(refused(() => decodeCbor(deep))).toBe(true);
    }
  });

  test('of JSON ends at its limit', () => {
    for (const open of ['[', '{"a":']) {
      expect(refused(() => parseJsonStrict(Buffer.from(open.repeat(50_000))))).toBe(true);
      expect(refused(() => parseDsse(Buffer.from(open.repeat(9))))).toBe(true);
    }
  });

  test('of DER ends in a refusal, not at the end of the stack', () => {
    const parts: Buffer[] = [];
    let length = 0;
    while (length < 100_000) {
      const head =
        length < 128
          ? [0x30, length]
          : length < 65_536
            ? [0x30, 0x82, length >> 8, length & 255]
            : [0x30, 0x83, length >> 16, (length >> 8) & 255, length & 255];
      parts.unshift(Buffer.from(head));
      length += head.length;
    }
    expect(refused(() => readRequest(Buffer.concat(parts)))).toBe(true);
  });
});

describe('size', () => {
  test('of a message is judged before it is read', () => {
    const huge = Buffer.alloc(256 * 1024 + 1, 0x80);
    expect(refused(() => decodeEvidence(huge))).toBe(true);
    expect(appraise({ ...build(), evidence: huge })).toMatchObject({ accepted: false, status: 'none' });
  });

  test('of JSON is judged before it is read', () => {
    expect(refused(() => parseJsonStrict(Buffer.alloc(MIB + 1, 0x20)))).toBe(true);
  });

  test('of 65,536 items is the most that a message may have', () => {
    const items = (count: number): Buffer => encodeCbor(Array.from<CborValue>({ length: count }).fill(0));
    expect(refused(() => decodeCbor(items(65_536)))).toBe(true);
    expect(refused(() => decodeCbor(items(65_535)))).toBe(false);
  });

  test('of a PEM text without end markers costs one look at it', () => {
    expect(certificatesOf('-----BEGIN CERTIFICATE-----\n'.repeat(20_000)).certificates).toEqual([]);
  });
});

describe('many things wrong at once', () => {
  test('are named up to what a verdict can carry, the worst among them', () => {
    const differing = Array.from({ length: 8 }, (_, i) => ({
      path: `f${i}`,
      expected: digestOf('a'),
      found: digestOf('b'),
    }));
    const slots = Array.from({ length: 31 }, (_, i) => ({ ...slotEvent, slot: `slot-${i}`, differing, more: 9 }));
    const profileSlots = slots.map(({ slot }) => ({
      ...(reference.profile.slots[0] as (typeof reference.profile.slots)[number]),
      name: slot,
    }));
    const profile = { ...reference.profile, slots: profileSlots };
    const input = build({
      events: [boot, agentStart, ...slots],
      claims: withClaims({
        slots: [],
        reports: Array.from({ length: 64 }, (_, n) => ({
          session,
          n,
          kind: 'tpm',
          rule: 'x',
          slot: null,
          subject: null,
          detail: 'y',
          at: 0,
        })),
      }),
    });
    const { findings, status } = appraise({ ...input, reference: { ...input.reference, profile } });
    expect(status).toBe('contraindicated');
    expect(findings).toHaveLength(MAX_FINDINGS);
    expect(findings.at(-1)?.status).toBe('contraindicated');
    expect(findings.at(-1)?.found).toMatch(/and \d+ more findings/);
  });

  test('a log of 100,000 records is judged', () => {
    const records = recordsOf([boot, agentStart, ...Array.from({ length: 2 }, () => slotEvent)]);
    const many = Array.from({ length: 100_000 }, (_, i) => ({
      ...(records[2 + (i % 2)] as (typeof records)[number]),
      recnum: i + 1,
    }));
    const input = build();
    const { findings } = appraise({ ...input, log: encodeRecords(many) });
    expect(findings).toEqual([]);
    expect(readLog(encodeRecords(many))).toHaveLength(100_000);
  });
});
