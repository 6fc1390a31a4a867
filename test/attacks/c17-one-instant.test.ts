// C17, log and PCR of different moments: a quote beside the log of just before or just after explains nothing, and no honest order fails.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LogEvent } from '../../src/cel/events.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { RowState } from '../../src/verifier/types.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { digestOf, freshRow, genuineEvents, slotEvent } from '../verifier/evidence-builder.ts';

let tpm: SoftwareTpm;
let facts: TpmFacts;
beforeAll(async () => {
  tpm = await startSoftwareTpm({ ekCertificates: false });
  facts = await withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    return factsOf(device);
  });
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
});

const restored: LogEvent = { ...slotEvent, cause: 'restored' };
const changed: LogEvent = { ...slotEvent, cause: 'changed', manifest: digestOf('bad') };
const quoting =
  (device: DeviceTpm) =>
  async (binding: Buffer): ReturnType<DeviceTpm['quote']> =>
    device.quote(binding, SELECTION);

describe('evidence taken step by step', () => {
  test('is affirming at every step whose log and quote are of one instant, and at no other', async () => {
    await withDevice(tpm, async (device) => {
      const events: LogEvent[] = [...genuineEvents];
      for (let step = 0; step < 20; step++) {
        const next = step % 2 === 0 ? changed : restored;
        const early = await realEvidence(facts, quoting(device), { events: [...events, next] });
        expect(appraise(early).findings.map(({ rule }) => rule)).toEqual(['log-replay']);
        await extendEvents(device, [next]);
        const late = await realEvidence(facts, quoting(device), { events });
        expect(appraise(late).findings.map(({ rule }) => rule)).toEqual(['log-replay']);
        events.push(next);
        const right = appraise(await realEvidence(facts, quoting(device), { events }));
        expect(right.accepted).toBe(true);
        expect(right.status).toBe(next === changed ? 'contraindicated' : 'warning');
      }
    });
  });
});

test('a log that goes on in small pieces is as good as the whole of it', async () => {
  await tpm.restart({ clean: true });
  await withDevice(tpm, async (device) => {
    const now = await factsOf(device);
    await extendEvents(device, genuineEvents);
    let row: RowState = freshRow;
    let seq = 0;
    for (let step = 0; step < 30; step++) {
      const events = step === 0 ? genuineEvents : step % 3 === 0 ? [] : [restored];
      if (step > 0) await extendEvents(device, events);
      const startPcr = row.log?.pcr ?? Buffer.alloc(32);
      const appraisal = appraise(
        await realEvidence(now, quoting(device), { row, firstRecord: seq + 1, startPcr, events }),
      );
      expect(appraisal.findings).toEqual([]);
      row = appraisal.next ?? freshRow;
      seq += events.length;
      expect(row.log?.seq).toBe(seq);
    }
  });
});
