// C15, the way back: recovery, a new log, a new enrolment and a restored disk ask for the same proof as the way forward.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTrust } from '../../src/release/root.ts';
import type { LogEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, RowState } from '../../src/verifier/types.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, openDesk, openOffice, outcome } from '../controller/desk.ts';
import type { Office } from '../controller/desk.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { build, digestOf, freshRow, genuineEvents, slotEvent } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';

const found = (input: AppraisalInput): readonly string[] => [
  ...new Set(appraise(input).findings.map(({ rule }) => rule)),
];
const bad: LogEvent = { ...slotEvent, cause: 'changed', manifest: digestOf('another model') };
const restored: LogEvent = { ...slotEvent, cause: 'restored' };

describe('a log that begins again', () => {
  const wrong = build({ events: [...genuineEvents, bad] });
  const row = appraise(wrong).next as RowState;

  test('in the same boot must account for what was extended: the bad event cannot be left out', () => {
    // All three events and the bad one are in the PCR; the whole log that is sent says nothing of the bad one.
    const hidden = build({
      row,
      challenge: (c) => ({ ...c, epoch: null, afterSeq: 0 }),
      events: [...genuineEvents, bad, restored],
      records: (all) => all.filter((_, i) => i !== 3).map((one, i) => ({ ...one, recnum: i + 1 })),
      pcrValues: ([zero, seven]) => {
        const all = [...genuineEvents, bad, restored];
        return [zero ?? Buffer.alloc(0), seven ?? Buffer.alloc(0), pcrAfter(all)];
      },
    });
    expect(found(hidden)).toEqual(['log-replay']);
    expect(appraise(hidden)).toMatchObject({ accepted: false, next: null });
  });

  test('said whole, it says that something was wrong, and is warned of although all is right again', () => {
    const whole = build({
      row,
      challenge: (c) => ({ ...c, epoch: null, afterSeq: 0 }),
      events: [...genuineEvents, bad, restored],
    });
    expect(found(whole)).toEqual(['changed-since-boot']);
    expect(appraise(whole).status).toBe('warning');
  });

  test('because the machine booted again needs the TPM’s word for it: claims of another epoch are not the quote’s', () => {
    const claimed: Bend = { row, claims: (claims) => ({ ...claims, epoch: { resetCount: 5, restartCount: 0 } }) };
    expect(found(build(claimed))).toEqual(['claims-epoch']);
  });

  test('because the TPM counts less than before is named: a cleared or another TPM is not a fresh start', () => {
    const before = { ...freshRow, maxResetCount: 9 };
    expect(found(build({ row: before }))).toEqual(['tpm-cleared-or-replaced']);
    const after = appraise(build({ row: before })).next as RowState;
    // And stays named: the row remembers the higher count.
    expect(after.maxResetCount).toBe(9);
  });

  test('with a TPM clock from before is named, and stays named', () => {
    const before = { ...(appraise(build()).next as RowState), clock: 900_000n };
    const again = build({ row: before, events: [], firstRecord: 4, startPcr: before.log?.pcr ?? Buffer.alloc(32) });
    expect(found(again)).toEqual(['clock-rolled-back']);
    expect((appraise(again).next as RowState).clock).toBe(900_000n);
  });
});

function pcrAfter(events: readonly LogEvent[]): Buffer {
  const input = build({ events });
  return Buffer.from((appraise(input).next as RowState).log?.pcr ?? Buffer.alloc(0));
}

describe('enrolling again', () => {
  let office: Office;
  beforeAll(async () => {
    office = await openOffice();
  });
  afterAll(async () => office.fleet[Symbol.asyncDispose]());

  test.each(['quarantined', 'rejected', 'retired'] as const)(
    'does not bring a %s device back, with or without a token',
    async (state) => {
      const desk = await openDesk(office);
      const device = await SoftDevice.make(office.fleet, null);
      await ask(desk, device);
      if (state !== 'rejected') await desk.desk.approve(device.id, 'Jo');
      await desk.registry.setState(device.id, ['pending', 'approved'], state);
      for (const token of [null, await desk.tokens.issue('line 4', Date.now() + 3_600_000)]) {
        device.loseDisk();
        await ask(desk, device, { token });
        expect((await desk.registry.device(device.id))?.state).toBe(state);
      }
      // One that is set aside still attests, so it keeps its connection; the others get none.
      expect(outcome(desk).certificate === null).toBe(state !== 'quarantined');
    },
  );

  test('keeps the count of a device: what was accepted before never counts again', async () => {
    const desk = await openDesk(office);
    const device = await SoftDevice.make(office.fleet, null);
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    const before = (await desk.registry.device(device.id))?.row.generation ?? 0;
    await desk.registry.setState(device.id, ['approved'], 'retired');
    const enrolment = await desk.registry.enrolment(device.id);
    if (enrolment === null) throw new TypeError('it has enrolled');
    const row = { id: device.id, profile: office.fleet.profile.id, tier: 'software' as const };
    expect(await desk.registry.enrolAgain(row, enrolment)).toBe(true);
    expect((await desk.registry.device(device.id))?.row.generation).toBeGreaterThan(before);
  });

  test('under a root statement from before is not possible once a newer one was seen', () => {
    const read = (name: string): Buffer => readFileSync(join(office.fleet.deviceDir, name));
    expect(() => loadTrust(read('fleet.json'), read('root.json'), Date.now(), 2)).toThrow('version');
  });
});
