// C8, what an event log means: type, order and every byte of each record are in the PCR, and nothing unknown is skipped.
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import type { LogEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { laterRow } from '../verifier/attack.ts';
import {
  agentStart,
  boot,
  build,
  digestOf,
  extendAll,
  genuineEvents,
  recordsOf,
  sha,
  slotEvent,
} from '../verifier/evidence-builder.ts';
import type { Bend, RecordFields } from '../verifier/evidence-builder.ts';

const found = (input: AppraisalInput): readonly string[] => appraise(input).findings.map(({ rule }) => rule);
const bad: LogEvent = { ...slotEvent, cause: 'changed', manifest: digestOf('bad') };

/** The PCR holds what `real` extended; the log tells `told`. */
function lie(real: readonly LogEvent[], told: (records: RecordFields[]) => RecordFields[]): readonly string[] {
  const pcr = extendAll(Buffer.alloc(32), recordsOf(real));
  const records = (): RecordFields[] => told(recordsOf(real));
  return found(build({ events: real, records, pcrValues: ([a, b]) => [a ?? pcr, b ?? pcr, pcr] }));
}

/** A record whose content is `event` and whose digest is what was really extended. */
const dressed = (record: RecordFields | undefined, event: LogEvent): RecordFields => ({
  recnum: record?.recnum ?? 0,
  pcr: record?.pcr ?? 0,
  digest: record?.digest ?? Buffer.alloc(0),
  content: encodeCbor(event as unknown as CborValue),
});

describe('a PCR in which a change was extended', () => {
  const real = [...genuineEvents, bad];

  test('is told honestly: the slot is contraindicated', () => {
    expect(lie(real, (records) => records)).toEqual(['model-bytes']);
  });

  test.each<[string, (records: RecordFields[]) => RecordFields[], string]>([
    ['without the change', (r) => r.slice(0, 3), 'log-replay'],
    [
      'with good content under the digest of the change',
      (r) => [...r.slice(0, 3), dressed(r[3], slotEvent)],
      'log-digest',
    ],
    ['with the change called an agent start', (r) => [...r.slice(0, 3), dressed(r[3], agentStart)], 'log-digest'],
    [
      'with the change called a foreign extension',
      (r) => [
        ...r.slice(0, 3),
        dressed(r[3], { v: 1, type: 'foreign-extension', expected: Buffer.alloc(32), found: Buffer.alloc(32) }),
      ],
      'log-digest',
    ],
    [
      'with the change before the good state',
      (r) => [r[0], r[1], r[3], r[2]].flatMap((one, i) => (one === undefined ? [] : [{ ...one, recnum: i + 1 }])),
      'log-replay',
    ],
    [
      'with the good state told twice',
      (r) => [...r.slice(0, 3), { ...(r[2] as RecordFields), recnum: 4 }],
      'log-replay',
    ],
    ['with one more good state appended', (r) => [...r, ...recordsOf([slotEvent], 5)], 'log-replay'],
    ['with the change in another PCR', (r) => r.map((one, i) => (i === 3 ? { ...one, pcr: 14 } : one)), 'log-pcr'],
  ])('cannot be told %s', (_, told, rule) => {
    expect(lie(real, told)).toContain(rule);
  });

  test('cannot be explained away by a foreign extension after which all looks good', () => {
    const pcr = extendAll(Buffer.alloc(32), recordsOf(real));
    const events: LogEvent[] = [
      ...genuineEvents,
      { v: 1, type: 'foreign-extension', expected: Buffer.alloc(32), found: pcr },
      slotEvent,
    ];
    const bend: Bend = {
      events,
      pcrValues: ([a, b]) => [a ?? pcr, b ?? pcr, extendAll(pcr, recordsOf(events).slice(3))],
    };
    expect(found(build(bend))).toEqual(['foreign-extension']);
    expect(appraise(build(bend)).status).toBe('none');
  });

  test('is not made good by a later good state: it is remembered for this log', () => {
    const appraisal = appraise(build({ events: [...real, { ...slotEvent, cause: 'restored' }] }));
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['changed-since-boot']);
    const row = appraisal.next ?? laterRow();
    const next = build({ row, firstRecord: 6, startPcr: row.log?.pcr ?? Buffer.alloc(0), events: [] });
    expect(found(next)).toEqual(['changed-since-boot']);
  });
});

describe('content that nobody here knows', () => {
  const withContent = (content: Uint8Array): Bend => ({
    records: (records) => records.map((one, i) => (i === 2 ? { ...one, content, digest: sha(content) } : one)),
  });
  const encode = (value: object): Buffer => encodeCbor(value as { readonly [key: string]: CborValue });

  test.each<[string, Uint8Array]>([
    ['of an unknown type', encode({ v: 1, type: 'note', text: 'nothing to see' })],
    ['of a version to come', encode({ ...slotEvent, v: 2 })],
    ['with a field to come', encode({ ...slotEvent, ignore: true })],
    ['with a field missing', encode({ v: 1, type: 'slot', slot: 'main' })],
    ['that is empty', new Uint8Array()],
    ['that is no CBOR', Buffer.from('slot main is fine')],
    ['with bytes left over', Buffer.concat([encode(slotEvent), Buffer.from([0])])],
    ['in another encoding', Buffer.from(encode(slotEvent).toString('hex').replace('617601', '61761801'), 'hex')],
    ['with a key twice', Buffer.from(`ab${encode(slotEvent).toString('hex').slice(2)}617601`, 'hex')],
  ])('%s fails the whole log, although the TPM quoted it', (_, content) => {
    expect(found(build(withContent(content)))).toEqual(['log-malformed']);
    expect(appraise(build(withContent(content)))).toMatchObject({
      accepted: false,
      authentic: true,
      status: 'contraindicated',
    });
  });
});

describe('the bytes around a record', () => {
  const changed = (change: (hex: string) => string): readonly string[] =>
    found(build({ log: (log) => Buffer.from(change(log.toString('hex')), 'hex') }));

  test.each<[string, (hex: string) => string]>([
    ['a fifth field', (hex) => hex.replace('a4000301', 'a5000301')],
    ['a second digest', (hex) => hex.replace('03a10b', '03a20b')],
    ['a digest by SHA-1', (hex) => hex.replace('03a10b', '03a104')],
    ['a content type of another vendor', (hex) => hex.replace('1854', '1855')],
    ['a content type of the specification', (hex) => hex.replace('1854', '04')],
    ['a number in a longer form', (hex) => hex.replace('a40003', 'a4001803')],
    ['one record more than there are', (hex) => hex.replace(/^83/, '84')],
    ['one record less than there are', (hex) => hex.replace(/^83/, '82')],
    ['a byte left over', (hex) => `${hex}00`],
  ])('with %s are no log', (_, change) => {
    expect(changed(change)).toEqual(['log-malformed']);
  });
});

describe('the beginning of a log', () => {
  test.each<[string, readonly LogEvent[]]>([
    ['without a boot', [agentStart, slotEvent]],
    ['with the boot of another device', [{ ...boot, deviceId: 'b'.repeat(32) } as LogEvent, agentStart, slotEvent]],
    ['with something before the agent starts', [boot, slotEvent, agentStart]],
    ['with two events before the boot', [agentStart, slotEvent, boot, agentStart]],
    ['with a boot before the boot', [{ ...boot, deviceId: 'b'.repeat(32) } as LogEvent, boot, agentStart, slotEvent]],
  ])('%s is not explained', (_, events) => {
    expect(found(build({ events }))).toContain('boot-explained');
    expect(appraise(build({ events })).status).not.toBe('affirming');
  });

  test.each<[string, readonly LogEvent[]]>([
    ['a slot event', [slotEvent, boot, agentStart, slotEvent]],
    ['the start of an agent', [agentStart, boot, agentStart, slotEvent]],
  ])('after %s whose extension crossed the reset of the TPM is explained', (_, events) => {
    expect(found(build({ events }))).not.toContain('boot-explained');
  });

  test('that was taken apart must still go on with the start of the agent', () => {
    const row = appraise(build({ events: [boot] })).next ?? laterRow();
    const goOn = (events: readonly LogEvent[]): readonly string[] =>
      found(build({ row, firstRecord: 2, startPcr: row.log?.pcr ?? Buffer.alloc(0), events }));
    expect(goOn([agentStart, slotEvent])).toEqual([]);
    expect(goOn([slotEvent, agentStart])).toEqual(['boot-explained']);
    expect(goOn([])).not.toContain('boot-explained');
  });

  test('that was not explained is not explained by what follows', () => {
    const row = appraise(build({ events: [agentStart, slotEvent] })).next ?? laterRow();
    const events = [boot, agentStart];
    expect(found(build({ row, firstRecord: 3, startPcr: row.log?.pcr ?? Buffer.alloc(0), events }))).toContain(
      'boot-explained',
    );
  });
});
