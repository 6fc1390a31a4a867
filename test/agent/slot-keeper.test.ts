// What a slot counts as: empty only when there is nothing in it, as signed only when everything is.
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { SlotKeeper } from '../../src/agent/slot-keeper.ts';
import type { SlotEvent } from '../../src/cel/events.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { measureSlot } from '../../src/measure/slot-measurer.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import { signedRelease, SlotFolder, slotProfile } from '../measure/slots.ts';

const pool = new HashPool();
afterAll(async () => pool[Symbol.asyncDispose]());

function keeperOf(folder: SlotFolder, release: SignedRelease | null, events: SlotEvent[]): SlotKeeper {
  return new SlotKeeper({
    slots: [slotProfile()],
    expected: async () =>
      release === null ? null : { ...release, statement: { ...release.statement, digest: Buffer.alloc(32) } },
    measure: async (slot, expected) => measureSlot({ slot, stateDir: folder.stateDir, expected, pool }),
    record: async (event) => events.push(event),
    lastEvents: new Map(),
  });
}

describe('a slot', () => {
  test('that is as signed, is changed and is put right says so in three events, and no more than three', async () => {
    using folder = new SlotFolder();
    folder.install({ m: 'x' });
    const events: SlotEvent[] = [];
    const keeper = keeperOf(folder, signedRelease({ m: 'x' }), events);
    const found: string[] = [];
    for (const text of ['x', 'x', 'y', 'y', 'x']) {
      writeFileSync(join(folder.modelOf(), 'm'), text);
      found.push((await keeper.look('main')).known.found);
    }
    expect(found).toEqual(['as-signed', 'as-signed', 'altered', 'altered', 'as-signed']);
    expect(events.map(({ cause }) => cause)).toEqual(['measured', 'changed', 'restored']);
  });

  test('in which no release is expected is empty without a link, altered with a folder in the link’s place', async () => {
    using folder = new SlotFolder();
    const events: SlotEvent[] = [];
    const keeper = keeperOf(folder, null, events);
    expect((await keeper.look('main')).known.found).toBe('empty');
    mkdirSync(join(folder.link, 'model'), { recursive: true });
    writeFileSync(join(folder.link, 'model', 'm'), 'anything');
    expect((await keeper.look('main')).known.found).toBe('altered');
  });

  test('whose release is gone is altered', async () => {
    using folder = new SlotFolder();
    folder.install({ m: 'x' });
    unlinkSync(folder.link);
    const keeper = keeperOf(folder, signedRelease({ m: 'x' }), []);
    expect((await keeper.look('main')).known.found).toBe('altered');
  });
});
