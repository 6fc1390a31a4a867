// Every single bit of evidence counts: whichever is flipped, on the wire or in the parts of a log, the verdict is no longer trust.
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { laterRow } from '../verifier/attack.ts';
import { agentStart, boot, build, slotEvent } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';

/** Evidence whose log went before it. */
function inParts(): AppraisalInput {
  let log = Buffer.alloc(0);
  const bend: Bend = {
    events: [boot, agentStart, slotEvent, { ...slotEvent, cause: 'restored' }],
    message: (message) => {
      log = Buffer.from(message['log'] as Uint8Array);
      return { ...message, log: { digest: sha256(log), length: log.length, parts: 2 } };
    },
  };
  return { ...build(bend), log };
}

const row = laterRow();
const incremental: Bend = {
  row,
  firstRecord: 4,
  startPcr: row.log?.pcr ?? Buffer.alloc(0),
  events: [{ ...slotEvent, cause: 'restored' }],
};

const KINDS: readonly [string, AppraisalInput][] = [
  ['a whole log', build()],
  ['the records since the last evidence', build(incremental)],
  ['no new records', build({ ...incremental, events: [] })],
  ['its log sent before it in parts', inParts()],
];

/** Bits of `bytes` whose flip leaves the evidence accepted. */
function survivors(bytes: Uint8Array, judged: (flipped: Buffer) => AppraisalInput): number[] {
  const flipped = Buffer.from(bytes);
  const alive: number[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const mask = 1 << (bit & 7);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ mask, bit >> 3);
    const { accepted, status } = appraise(judged(flipped));
    if (accepted || status === 'affirming') alive.push(bit);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ mask, bit >> 3);
  }
  return alive;
}

/** The bytes of an evidence message that say where its log is, but are not what the quote binds: the log itself is. */
function referenceBytes(evidence: Uint8Array): { from: number; to: number } {
  const { log } = decodeEvidence(evidence);
  if (log instanceof Uint8Array) return { from: 0, to: 0 };
  const bytes = Buffer.from(evidence);
  // {parts, digest, length}: the length of this log takes three bytes.
  return { from: bytes.indexOf('parts') - 1, to: bytes.indexOf('length') + 'length'.length + 3 };
}

describe.each(KINDS)('evidence with %s', (_, input) => {
  test('is affirming as it is', () => {
    expect(appraise(input)).toMatchObject({ accepted: true, status: 'affirming', findings: [] });
  });

  test('is not accepted with any bit of the message flipped', () => {
    const alive = survivors(input.evidence, (evidence) => ({ ...input, evidence }));
    // Shown irrelevant: what leads the receiver to the parts. The quote binds what was found there.
    const { from, to } = referenceBytes(input.evidence);
    expect(alive.filter((bit) => bit < from * 8 || bit >= to * 8)).toEqual([]);
  });
});

test('evidence is not accepted with any bit flipped of the log that was sent before it', () => {
  const input = inParts();
  expect(survivors(input.log ?? Buffer.alloc(0), (log) => ({ ...input, log }))).toEqual([]);
});

test('evidence is not accepted when a part is missing, twice or in another place', () => {
  const input = inParts();
  const log = Buffer.from(input.log ?? Buffer.alloc(0));
  const [a, b] = [log.subarray(0, 400), log.subarray(400)];
  for (const other of [a, b, Buffer.concat([b, a]), Buffer.concat([a, a, b]), Buffer.alloc(0)]) {
    expect(appraise({ ...input, log: other }).findings.map(({ rule }) => rule)).toEqual(['qualifying-data']);
  }
  expect(appraise({ ...input, log: null }).findings.map(({ rule }) => rule)).toEqual(['qualifying-data']);
});
