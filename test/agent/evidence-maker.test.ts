// Evidence: which records it carries, how long logs are cut, and that challenge, claims and log are what the quote binds.
import { describe, expect, it } from 'vitest';
import { BootPcrs } from '../../src/agent/boot-pcrs.ts';
import { firstRecord, LOG_PART_BYTES, makeEvidence } from '../../src/agent/evidence-maker.ts';
import { lastEvents } from '../../src/agent/log-reader.ts';
import { decodeLog, encodeRecord, makeRecord } from '../../src/cel/record.ts';
import type { LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { qualifyingData } from '../../src/evidence/binding.ts';
import { MAX_REPORTS } from '../../src/evidence/claims.ts';
import type { Report } from '../../src/evidence/claims.ts';
import { decodeClaims } from '../../src/evidence/claims-codec.ts';
import { decodeEvidence, decodeLogPart } from '../../src/protocol/codec.ts';
import type { Challenge } from '../../src/protocol/messages.ts';
import { deviceClaims as claims } from './device-claims.ts';

const epoch = { resetCount: 4, restartCount: 1 };
const challenge: Challenge = {
  v: 1,
  fleetId: Buffer.alloc(16, 1),
  deviceId: 'device',
  issuedAt: 1,
  nonce: Buffer.alloc(16, 2),
  generation: 3,
  bank: 'sha256',
  pcrs: [0, 7, 14],
  epoch,
  afterSeq: 2,
  policyDigest: Buffer.alloc(32, 3),
  kid: 'k',
};
const slotEvent = (slot: string, fill: number, differing: SlotEvent['differing'] = []): SlotEvent => ({
  v: 1,
  type: 'slot',
  slot,
  cause: 'changed',
  release: null,
  statement: null,
  manifest: Buffer.alloc(32, fill),
  configs: null,
  differing,
  more: 0,
});
const encoded = (events: readonly LogEvent[]): Buffer[] =>
  events.map((event, index) => encodeRecord(makeRecord(index + 1, 14, event)));

/** A TPM that answers with a TPMS_ATTEST's head and clock, and remembers what it was asked to bind. */
function machine(records: readonly Buffer[], reports: readonly Report[] = []) {
  const bound: Buffer[] = [];
  const attest = Buffer.alloc(4 + 2 + 2 + 3 + 2 + 32 + 17);
  attest.writeUInt16BE(3, 6);
  attest.writeUInt16BE(32, 11);
  attest.writeBigUInt64BE(123_456n, 45);
  attest.writeUInt32BE(epoch.resetCount, 53);
  attest.writeUInt32BE(epoch.restartCount, 57);
  return {
    bound,
    head: { epoch, seq: records.length, pcr: Buffer.alloc(32), intent: null },
    parts: {
      bootPcrs: new BootPcrs(14),
      tpm: {
        readPcrs: async ({ pcrs }: { pcrs: readonly number[] }) =>
          Promise.resolve(pcrs.map((pcr) => Buffer.alloc(32, pcr))),
        quote: async (data: Uint8Array) => {
          bound.push(Buffer.from(data));
          return Promise.resolve({ attest, signature: Buffer.from([1]) });
        },
      },
      journal: {
        records: async (from: number, to: number) => Promise.resolve(records.slice(from - 1, to)),
        reports: async () => Promise.resolve([...reports]),
      },
    },
  };
}

describe('evidence', () => {
  it('carries the records after those that the controller has of this epoch', () => {
    expect(firstRecord(challenge, { epoch, seq: 5 })).toBe(3);
    expect(firstRecord({ ...challenge, afterSeq: 5 }, { epoch, seq: 5 })).toBe(6);
  });

  it.each([
    ['the controller knows no log', { ...challenge, epoch: null }],
    ['the epoch is another', { ...challenge, epoch: { resetCount: 3, restartCount: 1 } }],
    ['the controller knows more than there is', { ...challenge, afterSeq: 6 }],
  ])('carries the whole log when %s', (_title, asked) => {
    expect(firstRecord(asked, { epoch, seq: 5 })).toBe(1);
  });

  it('is bound to the exact challenge, claims and log, and says which boot PCRs it quotes', async () => {
    const records = encoded([slotEvent('a', 1), slotEvent('a', 2), slotEvent('b', 3)]);
    const { parts, head, bound } = machine(records);
    const sealed = Buffer.from('the challenge as received');
    const made = await makeEvidence(parts, { challenge, sealed, head, claims });
    const message = decodeEvidence(made.message);
    if (!(message.log instanceof Uint8Array)) throw new TypeError('a short log is in the message');
    expect(bound).toEqual([qualifyingData(sealed, message.claims, message.log)]);
    expect(Buffer.from(message.challenge)).toEqual(sealed);
    expect(decodeLog(message.log).map((record) => record.recnum)).toEqual([3]);
    const said = decodeClaims(message.claims);
    expect(said).toMatchObject({ logFrom: 3, logTo: 3, epoch });
    expect(said.bootPcrs.map((value) => value[0])).toEqual([0, 7]);
    expect(made.sent).toEqual({ logTo: 3, digest: sha256(made.message), clock: 123_456n, epoch });
  });

  it('carries the oldest reports when there are more than it has room for', async () => {
    const reports = Array.from({ length: MAX_REPORTS + 2 }, (_, at): Report => ({
      session: Buffer.alloc(16, 9),
      n: at + 1,
      kind: 'command',
      rule: 'done',
      slot: null,
      subject: null,
      detail: '-',
      at: 1,
    }));
    const { parts, head } = machine([], reports);
    const made = await makeEvidence(parts, { challenge, sealed: Buffer.from('c'), head, claims });
    const said = decodeClaims(decodeEvidence(made.message).claims);
    expect(said.reports.map(({ n }) => n)).toEqual(Array.from({ length: MAX_REPORTS }, (_, at) => at + 1));
  });

  it('sends a long log before it, in parts that join to what was bound', async () => {
    const long = 'x'.repeat(4000);
    const differing = Array.from({ length: 64 }, (_, at) => ({
      path: `${at}${long}`,
      expected: null,
      found: Buffer.alloc(32),
    }));
    const records = encoded([1, 2].map((fill) => slotEvent('a', fill, differing)));
    const { parts, head, bound } = machine(records);
    const made = await makeEvidence(parts, {
      challenge: { ...challenge, epoch: null },
      sealed: Buffer.from('c'),
      head,
      claims,
    });
    expect(made.logParts.length).toBeGreaterThan(2);
    const log = Buffer.concat(made.logParts.map((part) => decodeLogPart(part).bytes));
    const message = decodeEvidence(made.message);
    expect(message.log).toEqual({
      digest: new Uint8Array(sha256(log)),
      length: log.length,
      parts: made.logParts.length,
    });
    expect(made.message.length).toBeLessThan(LOG_PART_BYTES);
    expect(decodeLog(log)).toHaveLength(2);
    expect(bound).toEqual([qualifyingData(Buffer.from('c'), message.claims, { digest: sha256(log) })]);
  });
});

describe('the log as a restarted agent reads it', () => {
  it('says the last of each slot', async () => {
    const { parts } = machine(encoded([slotEvent('a', 1), slotEvent('b', 2), slotEvent('a', 3)]));
    const last = (await lastEvents(parts.journal, 3)).slots;
    expect([...last].map(([slot, event]) => [slot, event.manifest[0]])).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
  });

  it('counts nothing from before a foreign extension', async () => {
    const foreign: LogEvent = {
      v: 1,
      type: 'foreign-extension',
      expected: Buffer.alloc(32),
      found: Buffer.alloc(32, 1),
    };
    const { parts } = machine(encoded([slotEvent('a', 1), foreign, slotEvent('b', 2)]));
    expect([...(await lastEvents(parts.journal, 3)).slots.keys()]).toEqual(['b']);
  });
});
