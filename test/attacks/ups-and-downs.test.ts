// Honest trouble, mixed: a board is suspended, rebooted, cut and its agent killed, twenty times in any order; and what only looks like it.
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { encodeLog } from '../../src/cel/record.ts';
import type { AgentStartEvent, BootEvent, EpochChange } from '../../src/cel/events.ts';
import { EventRecorder } from '../../src/measure/recorder.ts';
import type { Journal } from '../../src/store/journal.ts';
import { sameEpoch } from '../../src/tpm/port.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { Appraisal, RowState } from '../../src/verifier/types.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { agentStart, boot, EVENT_PCR, freshRow, slotEvent } from '../verifier/evidence-builder.ts';

let tpm: SoftwareTpm;
beforeAll(async () => {
  tpm = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => tpm[Symbol.asyncDispose]());

interface Told {
  readonly why: EpochChange;
  readonly appraisal: Appraisal;
}

/** A start of the agent: it finds out what happened, measures what is new, and attests to a controller that stands at `row`. */
async function start(
  of: SoftwareTpm,
  journal: Journal,
  row: RowState,
  disturb?: (device: DeviceTpm) => Promise<void>,
): Promise<Told> {
  return withDevice(of, async (device) => {
    const { recorder, why, newLog } = await EventRecorder.open({ tpm: device, journal, pcr: EVENT_PCR });
    await disturb?.(device);
    const session = randomBytes(16);
    const events: Parameters<typeof recorder.append>[0][] = [
      ...(newLog ? [{ ...boot, why } as BootEvent] : []),
      { ...agentStart, session, previous: why === 'first' ? 'first' : 'killed' } as AgentStartEvent,
      slotEvent,
    ];
    for (const event of events) await recorder.append(event);
    const head = await journal.head();
    const before = row.log;
    const goesOn = before !== null && head !== null && sameEpoch(before.epoch, head.epoch);
    const from = goesOn ? before.seq + 1 : 1;
    const records = await journal.records(from, head?.seq ?? 0);
    const facts = await factsOf(device);
    const input = await realEvidence(facts, async (binding) => device.quote(binding, SELECTION), {
      row,
      log: () => encodeLog(records),
      claims: (claims) => ({ ...claims, session, logFrom: from, logTo: head?.seq ?? 0 }),
      input: (genuine) => ({
        ...genuine,
        endorsement: { ...genuine.endorsement, endorsement: { ...genuine.endorsement.endorsement, tier: 'software' } },
      }),
    });
    return { why, appraisal: appraise(input) };
  });
}

type Happening = 'kill' | 'suspend' | 'reboot' | 'cut';
const HAPPEN: Readonly<
  Record<Happening, { readonly why: readonly EpochChange[]; readonly run: (of: SoftwareTpm) => Promise<void> }>
> = {
  kill: { why: ['continued'], run: async () => Promise.resolve() },
  suspend: { why: ['resumed'], run: async (of) => of.restart({ clean: true, keepState: true }) },
  // Soon after a cut the TPM does not call its clock safe, also when it was shut down properly: then the name is the careful one.
  reboot: { why: ['rebooted', 'power-cut'], run: async (of) => of.restart({ clean: true }) },
  cut: { why: ['power-cut'], run: async (of) => of.restart({ clean: false }) },
};

/** Twenty of them, each following each other one at least once. */
const ORDER: readonly Happening[] = [
  'kill',
  'kill',
  'suspend',
  'suspend',
  'kill',
  'reboot',
  'reboot',
  'suspend',
  'reboot',
  'kill',
  'cut',
  'cut',
  'kill',
  'suspend',
  'cut',
  'suspend',
  'cut',
  'reboot',
  'cut',
  'kill',
];

test('twenty in a row: each is named right, each is explained by its log, and none is held against the device', async () => {
  const journal = new MemoryJournal();
  let row: RowState = freshRow;
  const first = await start(tpm, journal, row);
  expect([first.why, first.appraisal.accepted]).toEqual(['first', true]);
  row = first.appraisal.next ?? row;
  for (const [i, what] of ORDER.entries()) {
    await HAPPEN[what].run(tpm);
    const { why, appraisal } = await start(tpm, journal, row);
    expect([i, what, HAPPEN[what].why.includes(why)]).toEqual([i, what, true]);
    expect([i, what, appraisal.accepted, appraisal.findings.map(({ rule }) => rule)]).toEqual([
      i,
      what,
      true,
      ['tier-software'],
    ]);
    row = appraisal.next ?? row;
  }
  expect(row.generation).toBe(freshRow.generation + ORDER.length + 1);
});

describe('what only looks like it', () => {
  /** A TPM with a journal and an accepted start. */
  async function begun(): Promise<{ own: SoftwareTpm; journal: MemoryJournal; row: RowState }> {
    const own = await startSoftwareTpm({ ekCertificates: false });
    onTestFinished(async () => own[Symbol.asyncDispose]());
    const journal = new MemoryJournal();
    await start(own, journal, freshRow);
    await own.restart({ clean: true });
    const { appraisal } = await start(own, journal, freshRow);
    return { own, journal, row: appraisal.next ?? freshRow };
  }

  test('a state file of the TPM from before, put back, is named, and stays named over every start that follows', async () => {
    const { own, journal, row: first } = await begun();
    const kept = mkdtempSync(join(tmpdir(), 'state-'));
    onTestFinished(() => {
      rmSync(kept, { recursive: true, force: true });
    });
    await own.kill();
    cpSync(own.stateDir, kept, { recursive: true });
    await own.start();
    let row = first;
    for (let i = 0; i < 2; i++) {
      row = (await start(own, journal, row)).appraisal.next ?? row;
      await own.restart({ clean: true });
    }
    row = (await start(own, journal, row)).appraisal.next ?? row;
    await own.kill();
    cpSync(kept, own.stateDir, { recursive: true });
    await own.start();
    const whys: EpochChange[] = [];
    for (let i = 0; i < 2; i++) {
      const back = await start(own, journal, row);
      whys.push(back.why);
      expect(back.appraisal.status).toBe('contraindicated');
      expect(back.appraisal.findings.map(({ rule }) => rule)).toContain('tpm-cleared-or-replaced');
      row = back.appraisal.next ?? row;
    }
    expect(whys).toEqual(['tpm-cleared-or-replaced', 'continued']);
  });

  test('an extension by somebody else is unverifiable, never contraindicated, and never forgotten in this boot', async () => {
    const { own, journal, row } = await begun();
    await withDevice(own, async (device) => device.extendPcr(EVENT_PCR, Buffer.alloc(32, 7)));
    const foreign = await start(own, journal, row);
    const rules = foreign.appraisal.findings.map(({ rule }) => rule);
    expect(rules).toContain('foreign-extension');
    expect(foreign.appraisal.status).not.toBe('contraindicated');
    const next = await start(own, journal, foreign.appraisal.next ?? row);
    expect(next.appraisal.findings.map(({ rule }) => rule)).toContain('foreign-extension');
    await own.restart({ clean: true });
    const after = await start(own, journal, next.appraisal.next ?? row);
    expect(after.appraisal.findings.map(({ rule }) => rule)).toEqual(['tier-software']);
  });
});
