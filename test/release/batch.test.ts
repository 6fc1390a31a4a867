// Batches of endorsement keys: signed by a station that the root names, and refused by a rule's name in every other case.
import { describe, expect, test } from 'vitest';
import { signDsse } from '../../src/crypto/dsse.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { BATCH_CHECKS, BATCH_MAX, batchFaults, openBatch, signBatch } from '../../src/release/batch.ts';
import type { BatchFacts, EkBatch } from '../../src/release/batch.ts';
import type { BatchRuleId } from '../../src/rules/batch-rules.ts';
import { DAY, FLEET_ID, jsonBytes, named, NOW, publisher, rootStatement, stranger } from './publisher.ts';

const station = generateKey('p256').privateKey;
const second = generateKey('p384').privateKey;
const stolen = generateKey('p256').privateKey;
const root: BatchFacts['root'] = {
  ...rootStatement,
  stations: [
    { ...named(station), profiles: ['cam-a', 'cam-b'] },
    { ...named(second), profiles: ['gateway'] },
    { ...named(stolen), profiles: ['cam-a', 'gateway'] },
  ],
  revoked: [...rootStatement.revoked, { id: named(stolen).id, reason: 'laptop of the line lost', at: NOW + DAY }],
};
const nameOf = (n: number): string => `000b${n.toString(16).padStart(64, '0')}`;
const good: EkBatch = {
  v: 1,
  fleetId: FLEET_ID,
  id: '5'.repeat(32),
  issuedAt: NOW - DAY,
  expires: NOW + 30 * DAY,
  profiles: ['cam-a'],
  count: 2,
  entries: [
    { ekName: nameOf(1), certificate: 'c'.repeat(64), serial: 'cam-0017' },
    { ekName: nameOf(2), certificate: null },
  ],
};
const TYPE = 'application/vnd.touchstone.ek-batch+json';

/** Rules that a file breaks. */
function rules(file: Uint8Array, checks = BATCH_CHECKS, now = NOW): string[] {
  const opened = openBatch(file, root);
  if ('fault' in opened) return [opened.fault.rule];
  return batchFaults({ ...opened, root, now }, checks).map(({ rule }) => rule);
}
/** Signed whatever it says. */
const spoken = (change: object, key = station): Buffer =>
  jsonBytes(signDsse(TYPE, jsonBytes({ ...good, ...change }), [key]));

test('a batch of a station counts, up to its last moment and however large it may be', () => {
  expect(rules(signBatch(good, station))).toEqual([]);
  expect(openBatch(signBatch(good, station), root)).toEqual({ batch: good, signers: [named(station).id] });
  expect(rules(signBatch(good, station), BATCH_CHECKS, good.expires)).toEqual([]);
  const entries = Array.from({ length: BATCH_MAX }, (_, n) => ({
    ekName: `000c${n.toString(16).padStart(96, '0')}`,
    certificate: 'c'.repeat(64),
    serial: 'x'.repeat(64),
  }));
  expect(rules(signBatch({ ...good, count: BATCH_MAX, entries }, station))).toEqual([]);
});

const ATTACKS: readonly [what: string, rule: BatchRuleId, file: Buffer][] = [
  ['signed with a key that was stolen, before it was revoked', 'batch-signer-revoked', signBatch(good, stolen)],
  ['that demands what is not understood', 'batch-critical', spoken({ crit: ['quota'] })],
  ['of another fleet', 'batch-fleet', spoken({ fleetId: 'cd'.repeat(16) })],
  ['that is over', 'batch-expired', spoken({ expires: NOW - 1 })],
  ['for a profile of another line', 'batch-profile', spoken({ profiles: ['cam-a', 'gateway'] })],
  ['that says fewer keys than it has', 'batch-count', spoken({ count: 1 })],
];

describe('a batch', () => {
  test('has an attack for every check', () => {
    expect(BATCH_CHECKS.map(({ rule }) => rule).filter((rule) => !ATTACKS.some((one) => one[1] === rule))).toEqual([]);
  });

  test.each(ATTACKS)('%s is refused by %s and by nothing else', (_, rule, file) => {
    expect(rules(file)).toEqual([rule]);
    expect(
      rules(
        file,
        BATCH_CHECKS.filter((check) => check.rule !== rule),
      ),
    ).toEqual([]);
  });

  test('with a key twice is refused, whatever it counts', () => {
    const [one = good.entries[0]] = good.entries;
    for (const count of [1, 2]) expect(rules(spoken({ count, entries: [one, one] }))).toEqual(['batch-count']);
  });

  test('does not get the profiles of a revoked station from a second signature', () => {
    const payload = jsonBytes({ ...good, profiles: ['gateway'] });
    expect(rules(jsonBytes(signDsse(TYPE, payload, [station, stolen])))).toEqual(['batch-profile']);
    expect(rules(jsonBytes(signDsse(TYPE, payload, [second, stolen])))).toEqual([]);
  });

  test.each<[string, Buffer]>([
    ['of a stranger', signBatch(good, stranger)],
    ['of a publisher of the fleet', signBatch(good, publisher)],
    ['of another type', jsonBytes(signDsse('application/vnd.touchstone.root+json', jsonBytes(good), [station]))],
  ])('%s is read by nobody', (_, file) => {
    expect(rules(file)).toEqual(['batch-signature']);
  });

  test.each<[string, Buffer]>([
    ['is no JSON', Buffer.from('hello')],
    ['is no envelope', jsonBytes({})],
    ['is longer than any', Buffer.alloc(4 * 1024 * 1024, 0x20)],
    ['holds nobody', spoken({ count: 0, entries: [] })],
    ['holds what is no Name', spoken({ entries: [{ ekName: '00'.repeat(34), certificate: null }] })],
    [
      'holds one too many',
      spoken({ entries: Array.from({ length: BATCH_MAX + 1 }, (_, n) => ({ ekName: nameOf(n), certificate: null })) }),
    ],
    ['has a serial of two lines', spoken({ entries: [{ ...good.entries[0], serial: 'a\nb' }] })],
  ])('that %s is refused', (_, file) => {
    expect(rules(file)).toEqual(['batch-malformed']);
  });

  test('is not read at all in a fleet without stations', () => {
    const { stations: _, ...without } = root;
    const opened = openBatch(signBatch(good, station), without);
    expect('fault' in opened && opened.fault.rule).toBe('batch-signature');
  });
});
