// Hints that a slot may have changed: for its model, its link and its configs, through everything that comes and goes.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { watchSlots } from '../../src/measure/watcher.ts';
import type { SlotsWatcher } from '../../src/measure/watcher.ts';
import { slotProfile, SlotFolder } from './slots.ts';

const root = mkdtempSync(join(tmpdir(), 'watch-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Hints as they come, to be waited for one by one. */
class Hints {
  readonly names: string[] = [];
  #waiting: (() => void) | null = null;

  readonly take = (slot: string): void => {
    this.names.push(slot);
    this.#waiting?.();
    this.#waiting = null;
  };

  /** Does something and waits for a hint that comes after it. */
  async after(happen: () => void): Promise<string | undefined> {
    const hinted = new Promise<void>((resolve) => {
      this.#waiting = resolve;
    });
    happen();
    await hinted;
    return this.names.at(-1);
  }
}

async function watching(slot: SlotFolder, hints: Hints, configs: readonly string[] = []): Promise<SlotsWatcher> {
  const paths = configs.map((path) => ({ path, sha256: '00'.repeat(32) }));
  const profile = { slots: [slotProfile(paths), { ...slotProfile(), name: 'other' }] };
  const watcher = watchSlots({ profile, stateDir: slot.stateDir, changed: hints.take, quietMs: 5 });
  await watcher.ready();
  return watcher;
}

describe('a slot is looked at again', () => {
  test('when a file of its model is written, added, renamed or removed, in any folder', async () => {
    using slot = new SlotFolder();
    slot.install({ a: '1', 'deep/er/b': '2' });
    const hints = new Hints();
    await using watcher = await watching(slot, hints);
    const model = slot.modelOf();
    for (const happen of [
      () => writeFileSync(join(model, 'a'), 'x'),
      () => writeFileSync(join(model, 'deep/er/b'), 'y'),
      () => writeFileSync(join(model, 'deep/c'), 'z'),
      () => renameSync(join(model, 'deep/c'), join(model, 'd')),
      () => rmSync(join(model, 'deep'), { recursive: true }),
      () => mkdirSync(join(model, 'new/er'), { recursive: true }),
    ]) {
      expect(await hints.after(happen)).toBe('main');
      await watcher.ready();
    }
    expect(await hints.after(() => writeFileSync(join(model, 'new/er/f'), 'in a folder that came later'))).toBe('main');
    expect(hints.names).not.toContain('other');
  });

  test('when its link appears, is switched or goes, and then for what it points to', async () => {
    using slot = new SlotFolder();
    const hints = new Hints();
    await using watcher = await watching(slot, hints);
    expect(await hints.after(() => slot.install({ a: '1' }))).toBe('main');
    await watcher.ready();
    const other = 'cd'.repeat(32);
    expect(await hints.after(() => slot.install({ b: '2' }, other))).toBe('main');
    await watcher.ready();
    expect(await hints.after(() => writeFileSync(join(slot.modelOf(other), 'b'), 'x'))).toBe('main');
    await watcher.ready();
    expect(await hints.after(() => unlinkSync(slot.link))).toBe('main');
    await watcher.ready();
    expect(await hints.after(() => symlinkSync('../releases/nothing', join(slot.stateDir, 'slots', 'other')))).toBe(
      'other',
    );
  });

  test('when a config is written, replaced by renaming, or appears where its folders were not yet', async () => {
    using slot = new SlotFolder();
    const folder = mkdtempSync(join(root, 'configs-'));
    writeFileSync(join(folder, 'a.json'), '1');
    const hints = new Hints();
    await using watcher = await watching(slot, hints, [join(folder, 'a.json'), join(folder, 'later/on/*.json')]);
    for (const happen of [
      () => writeFileSync(join(folder, 'a.json'), '2'),
      () => {
        writeFileSync(join(folder, 'b.json'), '3');
        renameSync(join(folder, 'b.json'), join(folder, 'a.json'));
      },
      () => mkdirSync(join(folder, 'later')),
      () => mkdirSync(join(folder, 'later/on')),
      () => writeFileSync(join(folder, 'later/on/c.json'), '4'),
    ]) {
      expect(await hints.after(happen)).toBe('main');
      await watcher.ready();
    }
  });

  test('not for what happens beside it: the journal, a neighbour of a config', async () => {
    using slot = new SlotFolder();
    slot.install({ a: '1' });
    const folder = mkdtempSync(join(root, 'beside-'));
    writeFileSync(join(folder, 'a.json'), '1');
    const hints = new Hints();
    await using _watcher = await watching(slot, hints, [join(folder, 'a.json')]);
    writeFileSync(join(slot.stateDir, 'journal.sqlite-wal'), 'x');
    writeFileSync(join(folder, 'neighbour.json'), 'x');
    // The other slot's hint comes after whatever was due for this one.
    expect(await hints.after(() => symlinkSync('../releases/nothing', join(slot.stateDir, 'slots', 'other')))).toBe(
      'other',
    );
    expect(hints.names).toEqual(['other']);
  });

  test('once for many changes, and never after the end', async () => {
    using slot = new SlotFolder();
    slot.install({ a: '1' });
    const hints = new Hints();
    const watcher = await watching(slot, hints);
    await hints.after(() => {
      for (let n = 0; n < 200; n++) writeFileSync(join(slot.modelOf(), `${n}`), 'x');
    });
    expect(hints.names.length).toBe(1);
    writeFileSync(join(slot.modelOf(), 'last'), 'x');
    await watcher[Symbol.asyncDispose]();
    const ended = hints.names.length;
    writeFileSync(join(slot.modelOf(), 'after the end'), 'x');
    await new Promise((resolve) => {
      setTimeout(resolve, 30);
    });
    expect(hints.names.length).toBe(ended);
  });

  test('or not, where there is nothing to watch: no state directory is no error', async () => {
    const hints = new Hints();
    const watcher = watchSlots({
      profile: { slots: [slotProfile()] },
      stateDir: join(root, 'no/such'),
      changed: hints.take,
    });
    await watcher.ready();
    await watcher[Symbol.asyncDispose]();
    expect(hints.names).toEqual([]);
  });
});
