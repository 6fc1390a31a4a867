// Whoever carries a bundle may change, swap, keep and repeat it: each attempt is refused by a rule's name, and changes nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BundleEnd } from '../../src/agent/bundle-desk.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { DAY, makeRelease, NOW, stranger } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { bundleOf, CarriedTo, entriesOf } from './carried.ts';
import type { Bent, Entry } from './carried.ts';
import { readChallenge, sealChallenge } from '../../src/protocol/challenge.ts';
import { createSecretKey } from 'node:crypto';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'air-gap-'));
let one: MadeRelease;
let two: MadeRelease;
let older: MadeRelease;
let forSigns: MadeRelease;
beforeAll(async () => {
  const make = async (name: string, passport: object): Promise<MadeRelease> =>
    makeRelease(join(root, name), pool, { passport });
  one = await make('one', { version: '1.0.0' });
  two = await make('two', { version: '2.0.0', securityVersion: 2 });
  older = await make('older', { version: '0.9.0' });
  forSigns = await make('signs', { modelId: 'sign-reader', slotRole: 'reading' });
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const replaced =
  (name: string, bytes: Buffer) =>
  (entries: Entry[]): Entry[] =>
    entries.map((entry) => (entry.name === name ? { name, bytes } : entry));
const partOf = (made: MadeRelease, name: string): Buffer =>
  entriesOf(made, 1).find((entry) => entry.name === name)?.bytes ?? Buffer.alloc(0);

describe('a bundle', () => {
  test('that nobody touched is taken, once, and answered with a receipt for its challenge', async () => {
    await using carried = await CarriedTo.start(pool);
    const bundle = bundleOf(one, 1);
    const end = await carried.apply(bundle);
    expect(end).toMatchObject({ stands: 'trial', slot: 'main', release: one.id, outcome: { kind: 'activated' } });
    expect(carried.device.linked()).toBe(one.id);
    expect(carried.device.names('incoming')).toEqual([]);
    const again = await carried.apply(bundle);
    expect(again).toMatchObject({ stands: 'trial', outcome: { rule: 'done' } });
    expect(await carried.device.journal.reports()).toHaveLength(1);
    expect([end, again].map(({ receipt }) => receipt?.length ?? 0).every((length) => length > 1024)).toBe(true);
    expect(carried.errors).toEqual([]);
  });

  interface Attack {
    readonly rule: string;
    readonly bundle: () => Buffer;
    /** Not reported to the controller: it is no matter of this device, or nobody of this fleet said it. */
    readonly silent?: true;
  }
  const bent = (bend: () => Bent): Pick<Attack, 'bundle'> => ({ bundle: () => bundleOf(two, 5, bend()) });

  const ATTACKS: Readonly<Record<string, Attack>> = {
    'for another device': {
      rule: 'instruction-device',
      silent: true,
      ...bent(() => ({ instruction: { deviceId: 'b'.repeat(32) } })),
    },
    'of another fleet': {
      rule: 'instruction-device',
      silent: true,
      ...bent(() => ({ instruction: { fleetId: 'cd'.repeat(16) } })),
    },
    'for a slot that is not there': {
      rule: 'instruction-slot',
      silent: true,
      ...bent(() => ({ instruction: { slot: 'doors' } })),
    },
    'for another slot than its release': { rule: 'release-model-id', bundle: () => bundleOf(forSigns, 5) },
    'of yesterday, when a newer one was taken': { rule: 'superseded-order', bundle: () => bundleOf(two, 2) },
    'after its time': { rule: 'instruction-expired', ...bent(() => ({ instruction: { notAfter: NOW - 1 } })) },
    'with a release that the operator did not mean': {
      rule: 'release-id',
      ...bent(() => ({ instruction: { release: one.id } })),
    },
    'with an older release': { rule: 'release-older', bundle: () => bundleOf(older, 5) },
    'signed by no operator of the fleet': {
      rule: 'instruction-signature',
      silent: true,
      ...bent(() => ({ operator: stranger })),
    },
    'with another challenge than its own': {
      rule: 'instruction-challenge',
      ...bent(() => ({ entries: replaced('challenge', partOf(one, 'challenge')) })),
    },
    'whose challenge was given a longer life on the way': {
      rule: 'instruction-challenge',
      bundle: () =>
        bundleOf(two, 5, {
          entries: (entries) =>
            entries.map((entry) => {
              if (entry.name !== 'challenge') return entry;
              const challenge = { ...readChallenge(entry.bytes), validFor: 365 * DAY };
              return { ...entry, bytes: sealChallenge(challenge, createSecretKey(Buffer.alloc(32, 9))) };
            }),
        }),
    },
    'whose challenge is for another device': {
      rule: 'instruction-challenge',
      ...bent(() => ({ challenge: { deviceId: 'other' } })),
    },
    'with another signed passport in it': {
      rule: 'release-id',
      ...bent(() => ({
        entries: (all) =>
          replaced('passport.json', partOf(one, 'passport.json'))(replaced('model.sig', partOf(one, 'model.sig'))(all)),
      })),
    },
    'with changed bytes of the model': {
      rule: 'release-file-changed',
      ...bent(() => ({ entries: replaced('model/1', Buffer.from('worse weights')) })),
    },
    'without signatures': {
      rule: 'release-malformed',
      ...bent(() => ({ entries: replaced('model.sig', Buffer.from('{}')) })),
    },
  };

  test.each(Object.entries(ATTACKS))(
    '%s is refused by name, and changes nothing',
    async (_, { rule, bundle, silent }) => {
      await using carried = await CarriedTo.start(pool);
      expect((await carried.apply(bundleOf(one, 1))).stands).toBe('trial');
      await carried.commit();
      // What came since: an order above two.
      await carried.device.journal.setSlot({ ...(await carried.device.row()), order: 3, securityVersion: 2 });
      const before = { row: await carried.device.row(), reports: await carried.device.journal.reports() };
      const end = await carried.apply(bundle());
      expect([end.outcome.rule, end.outcome.detail]).toEqual([rule, expect.stringContaining(rule)]);
      expect(end).toMatchObject({ stands: 'refused', outcome: { kind: 'refused' } });
      expect(await carried.device.row()).toEqual(before.row);
      expect(carried.device.linked()).toBe(one.id);
      const news = (await carried.device.journal.reports()).slice(before.reports.length).map((report) => report.rule);
      expect(news).toEqual(silent === true ? [] : [rule]);
      expect(carried.errors).toEqual([]);
    },
  );

  const CONTAINERS: Readonly<Record<string, (entries: Entry[]) => readonly Entry[]>> = {
    'a file that leads out': (entries) => [
      ...entries.slice(0, 5),
      { name: '../../etc/passwd', bytes: Buffer.from('x') },
    ],
    'an absolute file': (entries) => [...entries.slice(0, 5), { name: '/etc/passwd', bytes: Buffer.from('x') }],
    'one file more': (entries) => [...entries, { name: `model/${entries.length - 5}`, bytes: Buffer.from('x') }],
    'one file less': (entries) => entries.slice(0, -1),
    'two files in each other’s place': (entries) => [...entries.slice(0, 5), ...entries.slice(5).toReversed()],
    'a paper twice': (entries) => [...entries.slice(0, 1), ...entries],
    'a paper that is too long': (entries) => replaced('instruction.json', Buffer.alloc(20_000, 0x20))(entries),
  };

  test.each(Object.entries(CONTAINERS))(
    'with %s is malformed: nothing is written, nothing reported',
    async (_, entries) => {
      await using carried = await CarriedTo.start(pool);
      const end = await carried.apply(bundleOf(one, 1, { entries }));
      expect(end).toMatchObject({ stands: 'refused', outcome: { rule: 'bundle-malformed' }, receipt: null });
      expect(await carried.device.journal.reports()).toEqual([]);
      expect(carried.device.linked()).toBeNull();
      // A good copy of the same bundle still does.
      expect(await carried.apply(bundleOf(one, 1))).toMatchObject({ stands: 'trial' });
    },
  );

  test('that is cut off anywhere does nothing', async () => {
    await using carried = await CarriedTo.start(pool);
    const bundle = bundleOf(one, 1);
    for (let length = 0; length < bundle.length; length += 1511) {
      const end: BundleEnd = await carried.apply(bundle.subarray(0, length));
      expect([end.outcome.rule, end.stands]).toEqual(['bundle-malformed', 'refused']);
    }
    expect(carried.device.linked()).toBeNull();
    expect(await carried.device.journal.slots()).toEqual([]);
  });

  test('with files beyond what the profile allows is not taken', async () => {
    await using carried = await CarriedTo.start(pool);
    const big = await makeRelease(join(root, 'big'), pool, { files: { 'w.bin': 'x'.repeat(70_000) } });
    const end = await carried.apply(bundleOf(big, 1));
    expect(end).toMatchObject({
      stands: 'refused',
      outcome: { rule: 'failed', detail: expect.stringMatching(/longer than/) },
    });
    expect(carried.device.linked()).toBeNull();
  });

  test('is not taken while a trial is open, and may be applied when that has ended', async () => {
    await using carried = await CarriedTo.start(pool);
    await carried.apply(bundleOf(one, 1));
    expect((await carried.apply(bundleOf(two, 2))).outcome.rule).toBe('trial-open');
    await carried.commit();
    expect(await carried.apply(bundleOf(two, 2))).toMatchObject({ stands: 'trial', release: two.id });
  });

  test.each(['interrupted', 'failed'])('that ended as %s may be applied once more', async (rule) => {
    await using carried = await CarriedTo.start(pool);
    const { journal } = carried.device;
    await journal.setSlot({ ...(await carried.device.row()), order: 1 });
    const report = {
      session: Buffer.alloc(16),
      kind: 'command',
      slot: 'main',
      subject: 'b-1',
      detail: '-',
      at: 0,
    } as const;
    await journal.addReport({ ...report, rule });
    expect(await carried.apply(bundleOf(one, 1))).toMatchObject({ stands: 'trial', outcome: { kind: 'activated' } });
    expect(carried.device.linked()).toBe(one.id);
  });

  test('whose release was rolled back is not tried again, and says why', async () => {
    await using carried = await CarriedTo.start(pool);
    await carried.apply(bundleOf(one, 1));
    await carried.device.gate().rollBack('main', { rule: 'health-output', detail: 'wrong answers' });
    const again = await carried.apply(bundleOf(one, 1));
    expect(again).toMatchObject({ stands: 'rolled-back', outcome: { kind: 'rolled-back', rule: 'health-output' } });
    expect(carried.device.linked()).toBeNull();
  });

  test('is not taken without room to report its end', async () => {
    await using carried = await CarriedTo.start(pool);
    const report = {
      session: Buffer.alloc(16),
      kind: 'tpm',
      rule: 'tpm-late',
      slot: null,
      subject: null,
      detail: '-',
      at: 0,
    } as const;
    for (let n = 0; n < 56; n++) await carried.device.journal.addReport(report);
    const end = await carried.apply(bundleOf(one, 1));
    expect([end.outcome.rule, end.receipt === null]).toEqual(['reports-full', false]);
    expect(await carried.device.journal.reports()).toHaveLength(56);
  });
});
