// Where a release may come from, what of it is copied, and what is said when that cannot be done.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { sourceFolder } from '../../src/gate/source.ts';
import { inboxFolder, incomingFolder, releaseFolder, releaseOfTarget } from '../../src/gate/places.ts';
import type { StepHook } from '../../src/gate/places.ts';
import { assertSpace } from '../../src/gate/staging.ts';
import { FILES, makeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'sources-'));
const good = await makeRelease(join(root, 'good'), pool);
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const invalid = (words: string): unknown =>
  expect.objectContaining({ code: 'RELEASE_INVALID', message: expect.stringContaining(words) });

describe('a release comes', () => {
  test('from the inbox when the command names no source, and leaves it', async () => {
    await using device = new Device(pool);
    const { id } = await makeRelease(join(device.stateDir, 'inbox', good.id), pool);
    expect(id).toBe(good.id);
    expect(await device.install(id, null)).toMatchObject({ rule: 'done' });
    expect(device.linked()).toBe(id);
    expect(device.names('inbox')).toEqual([]);
  });

  test('from a folder of releases by their ids', async () => {
    await using device = new Device(pool);
    const many = mkdtempSync(join(root, 'many-'));
    await makeRelease(join(many, good.id), pool);
    expect(await device.install(good.id, many)).toMatchObject({ rule: 'done' });
    expect(existsSync(join(many, good.id, 'passport.json'))).toBe(true);
  });

  test('from this device, when it is still there', async () => {
    await using device = new Device(pool);
    const next = await makeRelease(mkdtempSync(join(root, 'next-')), pool, { passport: { version: '2.0.0' } });
    await device.install(good.id, good.folder);
    await device.install(next.id, next.folder);
    expect(await device.install(good.id, null)).toMatchObject({ rule: 'done' });
    expect(await device.row()).toMatchObject({ active: good.id, previous: next.id });
  });

  test('from a source whose path has a link in it: that is the operator’s word', async () => {
    await using device = new Device(pool);
    symlinkSync(root, join(device.stateDir, 'usb'));
    expect(await device.install(good.id, join(device.stateDir, 'usb', 'good'))).toMatchObject({ rule: 'done' });
  });

  test('again into the same slot, and then nothing changes', async () => {
    await using device = new Device(pool);
    await device.install(good.id, good.folder);
    const inode = lstatSync(join(device.stateDir, 'releases', good.id)).ino;
    expect(await device.install(good.id, good.folder)).toMatchObject({ rule: 'done' });
    expect(lstatSync(join(device.stateDir, 'releases', good.id)).ino).toBe(inode);
    expect(await device.row()).toMatchObject({ active: good.id, previous: null });
  });

  test('into two slots, and is kept until none of them has it', async () => {
    await using device = new Device(pool);
    const signs = { modelId: 'sign-reader', slotRole: 'reading' };
    const releases = [];
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
      releases.push(await makeRelease(mkdtempSync(join(root, 's-')), pool, { passport: { ...signs, version } }));
    }
    await device.install(good.id, good.folder);
    for (const { id, folder } of releases) await device.install(id, folder, { slot: 'signs' });
    expect(device.names('releases')).toEqual([good.id, ...releases.slice(1).map((one) => one.id)].toSorted());
    expect(device.linked()).toBe(good.id);
  });
});

describe('a release that was fetched', () => {
  const url = 'https://example.org/r';
  const fetched = async (device: Device): Promise<string> => {
    const folder = incomingFolder(device.stateDir, good.id);
    await makeRelease(folder, pool);
    return folder;
  };

  test('goes in without a second copy of its bytes, and leaves no other name of them', async () => {
    await using device = new Device(pool);
    const folder = await fetched(device);
    const { ino } = lstatSync(join(folder, 'model/classifier.onnx'));
    expect(await device.install(good.id, url)).toMatchObject({ rule: 'done' });
    const there = lstatSync(join(device.stateDir, 'releases', good.id, 'model/classifier.onnx'));
    expect([there.ino, there.nlink, there.mode & 0o777]).toEqual([ino, 1, 0o444]);
    expect(device.names('incoming')).toEqual([]);
  });

  test.each(['copy files', 'write signatures', 'name ready', 'switch the link', 'clean up'])(
    'is still there, or in, after a cut before the step %j',
    async (at) => {
      await using device = new Device(pool);
      await fetched(device);
      const step: StepHook = (name) => {
        if (name === at) throw new Error('the power is cut');
      };
      await expect(device.install(good.id, url, { changes: { step } })).rejects.toThrow('the power is cut');
      await device.gate().recover();
      const row = await device.row();
      const again = row.state === 'NONE' ? (await device.install(good.id, url)).rule : 'done';
      expect(again).toBe('done');
      expect(device.linked()).toBe(good.id);
    },
  );

  test('and is not as it was signed is not kept for the next attempt', async () => {
    await using device = new Device(pool);
    const folder = await fetched(device);
    writeFileSync(join(folder, 'model/classifier.onnx'), 'other weights of 20b');
    expect(await device.install(good.id, url)).toMatchObject({ rule: 'release-file-changed' });
    expect(device.names('incoming')).toEqual([]);
    expect(device.names('releases')).toEqual([]);
  });
});

describe('a source is not taken', () => {
  test.each(['ftp://example.org/r', 'releases/x', '', 'file:///tmp'])(
    'that is %j, and it is said what is',
    async (source) => {
      await using device = new Device(pool);
      await expect(device.install(good.id, source)).rejects.toEqual(invalid('an absolute path on the device'));
    },
  );

  test('where there is no release', async () => {
    await using device = new Device(pool);
    await expect(device.install(good.id, root)).rejects.toEqual(invalid('there is no release in'));
    await expect(device.install(good.id, null)).rejects.toEqual(invalid('inbox'));
    await expect(device.install(good.id, 'https://example.org/r')).rejects.toEqual(invalid('incoming'));
    writeFileSync(join(root, 'file'), 'x');
    await expect(device.install(good.id, join(root, 'file'))).rejects.toEqual(invalid('there is no release in'));
  });

  test('that is a link to a release under the name of one', async () => {
    await using device = new Device(pool);
    mkdirSync(join(device.stateDir, 'inbox'));
    symlinkSync(good.folder, join(device.stateDir, 'inbox', good.id));
    await expect(device.install(good.id, null)).rejects.toEqual(invalid('there is no release in'));
  });

  test('whose signed files are links, too long or no files', async () => {
    await using device = new Device(pool);
    const bend = async (change: (folder: string) => void): Promise<unknown> => {
      const made = await makeRelease(mkdtempSync(join(root, 'bent-')), pool);
      change(made.folder);
      return device.install(made.id, made.folder);
    };
    const linked = bend((folder) => {
      renameSync(join(folder, 'passport.json'), join(folder, 'elsewhere'));
      symlinkSync('elsewhere', join(folder, 'passport.json'));
    });
    await expect(linked).rejects.toEqual(invalid('passport.json cannot be read'));
    const long = bend((folder) => {
      truncateSync(join(folder, 'passport.json'), 1024 * 1024);
    });
    await expect(long).rejects.toEqual(invalid('is longer than'));
    const folder = bend((at) => {
      rmSync(join(at, 'model.sig'));
      mkdirSync(join(at, 'model.sig'));
    });
    await expect(folder).rejects.toEqual(invalid('is not a regular file'));
    expect(device.linked()).toBeNull();
  });

  test('into a slot that the profile does not have: that is a bug of the caller', async () => {
    await using device = new Device(pool);
    await expect(device.install(good.id, good.folder, { slot: 'nowhere' })).rejects.toThrow(RangeError);
  });
});

describe('what is copied', () => {
  /** Installs a release of its own, whose model folder is bent when it was listed and before a byte of it was copied. */
  const bent = async (device: Device, bend: (model: string) => void): Promise<unknown> => {
    const made = await makeRelease(mkdtempSync(join(root, 'bent-')), pool);
    const step: StepHook = (name) => {
      if (name === 'copy files') bend(join(made.folder, 'model'));
    };
    return device.install(made.id, made.folder, { changes: { step } });
  };

  test('is what was listed, for nobody to write', async () => {
    await using device = new Device(pool);
    await device.install(good.id, good.folder);
    const there = join(device.stateDir, 'releases', good.id);
    const modes = ['', 'model', 'model/labels', 'model/labels/en.txt', 'passport.json', 'model.sig'].map(
      (path) => lstatSync(join(there, path)).mode & 0o777,
    );
    expect(modes).toEqual([0o555, 0o555, 0o555, 0o444, 0o444, 0o444]);
  });

  test('never comes through a folder that became a link after the listing', async () => {
    await using device = new Device(pool);
    const swapped = bent(device, (model) => {
      renameSync(join(model, 'labels'), join(model, '../elsewhere'));
      symlinkSync('../elsewhere', join(model, 'labels'));
    });
    await expect(swapped).rejects.toEqual(invalid('is not a regular file of the release'));
    expect(device.names('releases')).toEqual([]);
  });

  test.each<[string, string, (file: string) => void]>([
    [
      'a link',
      'cannot be read',
      (file) => {
        symlinkSync('/etc/hostname', file);
      },
    ],
    [
      'a folder',
      'is not a regular file',
      (file) => {
        mkdirSync(file);
      },
    ],
    [
      'a pipe',
      'is not a regular file',
      (file) => {
        execFileSync('mkfifo', [file]);
      },
    ],
    [
      'a longer file',
      'grows while it is copied',
      (file) => {
        writeFileSync(file, 'more than was announced '.repeat(9));
      },
    ],
  ])('never comes from what became %s after the listing', async (_what, words, make) => {
    await using device = new Device(pool);
    const replaced = bent(device, (model) => {
      rmSync(join(model, 'labels/en.txt'));
      make(join(model, 'labels/en.txt'));
    });
    await expect(replaced).rejects.toEqual(invalid(words));
    expect(device.names('releases')).toEqual([]);
  });

  test.each([
    ['other bytes', 'release-file-changed', 'weights of version 2'],
    ['fewer bytes', 'release-file-changed', 'weights'],
  ])('and has %s by then is refused, and nothing of it stays', async (_what, rule, text) => {
    await using device = new Device(pool);
    const outcome = await bent(device, (model) => {
      writeFileSync(join(model, 'classifier.onnx'), text);
    });
    expect(outcome).toMatchObject({ kind: 'refused', rule });
    expect(device.names('releases')).toEqual([]);
    expect(device.linked()).toBeNull();
  });

  test('is what was judged, also where the source changes a moment later', async () => {
    await using device = new Device(pool);
    const made = await makeRelease(mkdtempSync(join(root, 'late-')), pool);
    const step: StepHook = (name) => {
      if (name === 'write signatures') writeFileSync(join(made.folder, 'model/classifier.onnx'), 'other weights');
    };
    expect(await device.install(made.id, made.folder, { changes: { step } })).toMatchObject({ rule: 'done' });
    expect(device.read('classifier.onnx')).toBe(FILES['classifier.onnx']);
  });

  test('fits on the disk before the first byte is copied', async () => {
    await expect(assertSpace(root, [{ path: 'f', size: 2 ** 52 }], 0)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(assertSpace(root, [{ path: 'f', size: 1 }], 1)).resolves.toBeUndefined();
  });

  test('and cannot be hashed is cleared away', async () => {
    await using device = new Device(pool);
    const closed = new HashPool();
    await closed[Symbol.asyncDispose]();
    await expect(device.install(good.id, good.folder, { changes: { pool: closed } })).rejects.toMatchObject({
      code: 'MEASURE_FAILED',
    });
    expect(device.names('releases')).toEqual([]);
  });
});

test('a release id is 64 hex digits wherever a path is made of it', async () => {
  for (const id of ['..', 'AB'.repeat(32), `${'ab'.repeat(32)}/`]) {
    expect(() => releaseFolder('/s', id)).toThrow(RangeError);
    expect(() => inboxFolder('/s', id)).toThrow(RangeError);
    await expect(sourceFolder('/s', id, null)).rejects.toThrow(RangeError);
  }
  expect(releaseOfTarget(`../releases/${good.id}`)).toBe(good.id);
  for (const target of [good.id, `../releases/${good.id}/..`, '../releases/..', `/releases/${good.id}`]) {
    expect(releaseOfTarget(target)).toBeNull();
  }
});
