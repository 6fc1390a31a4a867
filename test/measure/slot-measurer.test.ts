// Measuring a slot: as signed, changed in every way that a file system knows, and while somebody changes it.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MAX_DIFFERING } from '../../src/cel/events.ts';
import { FileFault } from '../../src/files/fault.ts';
import type { FaultKind } from '../../src/files/fault.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { faultDigest } from '../../src/measure/found-files.ts';
import { measureSlot } from '../../src/measure/slot-measurer.ts';
import type { SlotMeasurement } from '../../src/measure/slot-measurer.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import type { Files } from './slots.ts';
import { RELEASE, sha256, signedRelease, slotProfile, SlotFolder } from './slots.ts';

const pool = new HashPool();
afterAll(async () => pool[Symbol.asyncDispose]());

const FILES: Files = { 'model.onnx': 'weights', 'labels/en.txt': 'cat\ndog\n', empty: '' };
const signed = signedRelease(FILES);
const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

const measure = (slot: SlotFolder, expected: SignedRelease | null = signed): Promise<SlotMeasurement> =>
  measureSlot({ slot: slotProfile(), stateDir: slot.stateDir, expected, pool });

function installed(files: Files = FILES): SlotFolder {
  const slot = new SlotFolder();
  slot.install(files);
  return slot;
}

/** Path → [expected, found]: hex, null for absent, or the kind of a fault. */
function told({ differing }: SlotMeasurement): Record<string, (string | null)[]> {
  const kinds: FaultKind[] = ['symlink', 'special', 'unreadable', 'missing', 'changed', 'bad-name'];
  const names = new Map(kinds.map((kind) => [hex(faultDigest(kind)), kind]));
  return Object.fromEntries(
    differing.map(({ path, expected, found }) => [path, [hex(expected), names.get(hex(found)) ?? hex(found)]]),
  );
}

describe('a slot', () => {
  test('as its publisher signed it has the signed manifest and nothing else to say', async () => {
    using slot = installed();
    const found = await measure(slot);
    expect(found).toMatchObject({ release: RELEASE, configs: null, differing: [], more: 0, faults: [] });
    expect(hex(sha256(found.manifest))).toBe(signed.passport.manifestDigest);
  });

  test('that points nowhere is empty: no release, the manifest of no files', async () => {
    using slot = new SlotFolder();
    const found = await measure(slot, null);
    expect(found).toEqual({
      release: null,
      manifest: Buffer.from([0x80]),
      configs: null,
      differing: [],
      more: 0,
      faults: [],
    });
  });

  const name = { changed: 'model.onnx', gone: 'labels/en.txt' };
  const WAYS: readonly [string, (model: string) => void, Record<string, (string | null)[]>][] = [
    [
      'a changed byte',
      (model) => writeFileSync(join(model, name.changed), 'weightz'),
      { 'model.onnx': [hex(sha256('weights')), hex(sha256('weightz'))] },
    ],
    [
      'a missing file',
      (model) => unlinkSync(join(model, name.gone)),
      { 'labels/en.txt': [hex(sha256('cat\ndog\n')), null] },
    ],
    [
      'a renamed file',
      (model) => renameSync(join(model, 'empty'), join(model, 'void')),
      { empty: [hex(sha256('')), null], void: [null, hex(sha256(''))] },
    ],
    ['an added empty file', (model) => writeFileSync(join(model, 'added'), ''), { added: [null, hex(sha256(''))] }],
    ['an added hidden file', (model) => writeFileSync(join(model, '.git'), 'x'), { '.git': [null, hex(sha256('x'))] }],
    [
      'a cut file',
      (model) => truncateSync(join(model, name.changed), 3),
      { 'model.onnx': [hex(sha256('weights')), hex(sha256('wei'))] },
    ],
    [
      'a file swapped for a link to the same bytes',
      (model) => {
        renameSync(join(model, name.changed), join(model, '..', 'elsewhere'));
        symlinkSync('../elsewhere', join(model, name.changed));
      },
      { 'model.onnx': [hex(sha256('weights')), 'symlink'] },
    ],
    [
      'a folder swapped for a link to the same folder',
      (model) => {
        renameSync(join(model, 'labels'), join(model, '..', 'elsewhere'));
        symlinkSync('../elsewhere', join(model, 'labels'));
      },
      { labels: [null, 'symlink'], 'labels/en.txt': [hex(sha256('cat\ndog\n')), null] },
    ],
    ['an added link', (model) => symlinkSync('/etc/passwd', join(model, 'link')), { link: [null, 'symlink'] }],
    ['an added pipe', (model) => execFileSync('mkfifo', [join(model, 'pipe')]), { pipe: [null, 'special'] }],
    [
      'a file swapped for a pipe',
      (model) => {
        unlinkSync(join(model, name.changed));
        execFileSync('mkfifo', [join(model, name.changed)]);
      },
      { 'model.onnx': [hex(sha256('weights')), 'special'] },
    ],
    [
      'a name that is no text',
      (model) => writeFileSync(Buffer.concat([Buffer.from(`${model}/`), Buffer.from([0x62, 0xff])]), ''),
      { 'b\\xff': [null, 'bad-name'] },
    ],
  ];
  for (const [what, change, differing] of WAYS) {
    test(`with ${what} differs, by name and digest`, async () => {
      using slot = installed();
      change(slot.modelOf());
      const found = await measure(slot);
      expect(told(found)).toEqual(differing);
      expect(hex(sha256(found.manifest))).not.toBe(signed.passport.manifestDigest);
      expect(found.release).toBe(RELEASE);
    });
  }

  test('with a socket in it, or a folder where a file belongs, differs', async () => {
    using slot = installed();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(slot.modelOf(), 's'), resolve));
    unlinkSync(join(slot.modelOf(), 'empty'));
    mkdirSync(join(slot.modelOf(), 'empty'));
    expect(told(await measure(slot))).toEqual({ s: [null, 'special'], empty: [hex(sha256('')), null] });
    server.close();
  });

  test('that holds something though no release is expected there names what it holds', async () => {
    using slot = installed();
    const found = await measure(slot, null);
    expect(found.release).toBe(RELEASE);
    expect(Object.keys(told(found)).toSorted()).toEqual(Object.keys(FILES).toSorted());
  });

  test('names 64 differing files and counts the others', async () => {
    using slot = installed(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`extra/${n}`, `${n}`])));
    const found = await measure(slot, signedRelease({}));
    expect([found.differing.length, found.more]).toEqual([MAX_DIFFERING, 100 - MAX_DIFFERING]);
  });

  test('whose signature has no digests of whole files names what is surplus, and differs by its manifest', async () => {
    using slot = installed();
    const shards = { ...signed, entries: null } as SignedRelease;
    expect((await measure(slot, shards)).differing).toEqual([]);
    writeFileSync(join(slot.modelOf(), 'model.onnx'), 'other');
    writeFileSync(join(slot.modelOf(), 'added'), 'a');
    const found = await measure(slot, shards);
    expect(told(found)).toEqual({ added: [null, hex(sha256('a'))] });
    expect(hex(sha256(found.manifest))).not.toBe(signed.passport.manifestDigest);
  });
});

describe('a slot that is not what a slot is', () => {
  const ODD: readonly [string, FaultKind, (slot: SlotFolder) => void][] = [
    ['points outside of the releases', 'symlink', (slot) => symlinkSync('/etc', slot.link)],
    ['points to a release by another name', 'symlink', (slot) => symlinkSync(`../releases/./${RELEASE}`, slot.link)],
    ['is a folder with a model in it', 'special', (slot) => mkdirSync(join(slot.link, 'model'), { recursive: true })],
    ['is a file', 'special', (slot) => writeFileSync(slot.link, 'x')],
    [
      'points to a release that is gone',
      'missing',
      (slot) => rmSync(join(slot.stateDir, 'releases', RELEASE), { recursive: true }),
    ],
    [
      'points to a release that is a link',
      'symlink',
      (slot) => {
        const release = join(slot.stateDir, 'releases', RELEASE);
        renameSync(release, `${release}-moved`);
        symlinkSync(`${release}-moved`, release);
      },
    ],
    ['points to a release without a model', 'missing', (slot) => rmSync(slot.modelOf(), { recursive: true })],
    [
      'points to a release whose model is a link',
      'symlink',
      (slot) => {
        renameSync(slot.modelOf(), `${slot.modelOf()}-moved`);
        symlinkSync(`${slot.modelOf()}-moved`, slot.modelOf());
      },
    ],
  ];
  for (const [what, kind, spoil] of ODD) {
    test(`because it ${what} has the fault ${kind}, and a manifest that no publisher signs`, async () => {
      using slot = installed();
      const relinks = what.startsWith('points outside') || what.startsWith('is ') || what.includes('another name');
      if (relinks) unlinkSync(slot.link);
      spoil(slot);
      for (const expected of [signed, null]) {
        const found = await measure(slot, expected);
        expect(found.faults).toEqual([{ path: '.', kind }]);
        expect(hex(sha256(found.manifest))).not.toBe(signed.passport.manifestDigest);
        expect(found.manifest).not.toEqual(Buffer.from([0x80]));
        expect(found.differing.length).toBeGreaterThan(0);
      }
    });
  }

  test('a file that cannot be read is a difference', async () => {
    using slot = installed();
    const hashFile = async (path: string): ReturnType<HashPool['hashFile']> =>
      path.endsWith('/empty') ? Promise.reject(new FileFault('unreadable', path)) : pool.hashFile(path);
    const options = { slot: slotProfile(), stateDir: slot.stateDir, expected: signed };
    const found = await measureSlot({ ...options, pool: { hashFile } as unknown as HashPool });
    expect(told(found)).toEqual({ empty: [hex(sha256('')), 'unreadable'] });
    expect(found.faults).toEqual([{ path: 'empty', kind: 'unreadable' }]);
  });
});

describe('while it is measured', () => {
  test('a file that is written without end is a difference, not an endless measurement', async () => {
    using slot = installed({ ...FILES, big: 'x'.repeat(3_000_000) });
    const path = join(slot.modelOf(), 'big');
    const writer = setInterval(() => {
      appendFileSync(path, 'y');
    }, 0);
    const restless = new HashPool({
      lease: () => {
        appendFileSync(path, 'z');
        return 'busy';
      },
    });
    const found = await measureSlot({ slot: slotProfile(), stateDir: slot.stateDir, expected: signed, pool: restless });
    clearInterval(writer);
    await restless[Symbol.asyncDispose]();
    expect(Object.keys(told(found))).toEqual(['big']);
  });

  test('a slot that is switched is measured again, as what it became', async () => {
    using slot = installed();
    const other = 'cd'.repeat(32);
    let switched = false;
    const switching = new HashPool({
      lease: () => {
        if (!switched) slot.install({ other: 'file' }, other);
        switched = true;
        return 'leased';
      },
    });
    const found = await measureSlot({ slot: slotProfile(), stateDir: slot.stateDir, expected: null, pool: switching });
    await switching[Symbol.asyncDispose]();
    expect(found).toMatchObject({ release: other, faults: [] });
    expect(told(found)).toEqual({ other: [null, hex(sha256('file'))] });
  });

  test('a signal ends it with its reason', async () => {
    using slot = installed();
    const reason = new Error('stopping');
    const options = { slot: slotProfile(), stateDir: slot.stateDir, expected: signed, pool };
    await expect(measureSlot({ ...options, signal: AbortSignal.abort(reason) })).rejects.toThrow('stopping');
  });

  test('holes are zeros, and many files are many files', async () => {
    const files = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`${n % 50}/${n}`, `${n}`]));
    using slot = installed(files);
    expect((await measure(slot, signedRelease(files))).differing).toEqual([]);
    truncateSync(join(slot.modelOf(), '0', '0'), 5_000_000);
    const zeros = Buffer.concat([Buffer.from('0'), Buffer.alloc(4_999_999)]);
    expect(told(await measure(slot, signedRelease(files)))).toEqual({ '0/0': [hex(sha256('0')), hex(sha256(zeros))] });
  });
});
