// A device whose log names more and more slots and files: what a controller keeps of it stays small, can be read again, and stays a bad verdict.
import { expect, test } from 'vitest';
import type { LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { decodeLogState, encodeLogState } from '../../src/verifier/log-state-codec.ts';
import type { Appraisal, RowState } from '../../src/verifier/types.ts';
import { laterRow } from '../verifier/attack.ts';
import { build, genuineEvents } from '../verifier/evidence-builder.ts';

const genuine = genuineEvents.find((event): event is SlotEvent => event.type === 'slot');
if (genuine === undefined) throw new TypeError('the genuine log has a slot');
const filesOf = (many: number, length: number, letter = 'x'): SlotEvent['differing'] =>
  Array.from({ length: many }, (_, i) => ({
    path: `${i}`.padEnd(length, letter),
    expected: null,
    found: Buffer.alloc(32, i),
  }));

function next(row: RowState, events: readonly LogEvent[]): Appraisal {
  const { log } = row;
  if (log === null) throw new TypeError('the row has a log');
  return appraise(build({ row, events, firstRecord: log.seq + 1, startPcr: log.pcr }));
}

function rowAfter({ accepted, next: row }: Appraisal): RowState {
  if (!accepted || row === null) throw new TypeError('it was accepted');
  return row;
}
const bytesOf = ({ log }: RowState): Buffer => encodeLogState(log ?? (undefined as never));

test('two hundred slots of a device that invents them are read again, and its verdict names them', () => {
  let row = laterRow();
  for (let n = 0; n < 40; n++) {
    const events = Array.from({ length: 5 }, (_, i) => ({
      ...genuine,
      slot: `s${n}-${i}`,
      differing: filesOf(60, 300),
    }));
    const appraisal = next(row, events);
    expect(appraisal.status).toBe('contraindicated');
    expect(appraisal.findings.map(({ rule }) => rule)).toContain('slot-unknown');
    row = rowAfter(appraisal);
  }
  expect(bytesOf(row).length).toBeLessThan(1024 * 1024);
  // Buffers and arrays of bytes are the same to whoever reads them.
  expect(encodeLogState(decodeLogState(bytesOf(row)))).toEqual(bytesOf(row));
  expect(row.log?.slots.some(({ slot }) => slot === genuine.slot)).toBe(true);
});

test('the slots of its profile are never among those that are forgotten', () => {
  const invented = Array.from({ length: 100 }, (_, i) => ({ ...genuine, slot: `s${i}` }));
  const row = rowAfter(next(laterRow(), invented));
  const wrong = { ...genuine, cause: 'changed' as const, manifest: Buffer.alloc(32, 9), differing: filesOf(1, 10) };
  const { log } = rowAfter(next(row, [wrong]));
  const found = log?.slots.find(({ slot }) => slot === genuine.slot);
  expect([found?.wasWrong, found?.differing.length]).toEqual([true, 1]);
  expect(log?.slots).toHaveLength(33);
});

test('the files that are not remembered are counted, by their bytes and not by their letters', () => {
  for (const [letter, kept] of [
    ['x', 16],
    ['€', 5],
  ] as const) {
    const appraisal = next(laterRow(), [
      { ...genuine, cause: 'changed', manifest: Buffer.alloc(32, 9), differing: filesOf(20, 1000, letter) },
    ]);
    const found = rowAfter(appraisal).log?.slots.find(({ slot }) => slot === genuine.slot);
    expect([found?.differing.length, found?.more]).toEqual([kept, 20 - kept]);
    expect(appraisal.status).toBe('contraindicated');
  }
});

test('a count as high as numbers go is still one that can be read again', () => {
  const more = Number.MAX_SAFE_INTEGER;
  const row = rowAfter(
    next(laterRow(), [
      { ...genuine, cause: 'changed', manifest: Buffer.alloc(32, 9), differing: filesOf(20, 1000), more },
    ]),
  );
  expect(decodeLogState(bytesOf(row)).slots.map((slot) => slot.more)).toContain(more);
});

test('engines of slots that a device invents are as few, and one of them is still a bad verdict', () => {
  let row = laterRow();
  const statement = Buffer.alloc(32, 1);
  for (let n = 0; n < 60; n++) {
    const events = Array.from({ length: 400 }, (_, i) => ({
      v: 1 as const,
      type: 'engine' as const,
      slot: `${n}-${i}`.padEnd(64, 's'),
      cause: 'compiled' as const,
      statement,
      compiler: statement,
      engine: statement,
    }));
    const appraisal = next(row, events);
    expect(appraisal.status).toBe('contraindicated');
    row = rowAfter(appraisal);
  }
  expect(bytesOf(row).length).toBeLessThan(65_536);
  expect(decodeLogState(bytesOf(row)).engines).toHaveLength(32);
});
