// C18, swapped between look and use: what is checked is what is kept, and what is kept is what is opened.
import {
  closeSync,
  cpSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { measureSlot } from '../../src/measure/slot-measurer.ts';
import { Device } from '../gate/device.ts';
import { signedRelease, sha256, SlotFolder, slotProfile } from '../measure/slots.ts';
import { makeRelease } from '../release/publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'swap-'));
const good = await makeRelease(join(root, 'good'), pool);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const FILE = 'classifier.onnx';
const RIGHT = readFileSync(join(good.folder, 'model', FILE), 'utf8');
const WRONG = RIGHT.replace(/^./, (first) => (first === 'x' ? 'y' : 'x'));

/** A copy of the release that a test may bend. */
function source(): { folder: string; file: string } {
  const folder = mkdtempSync(join(root, 'source-'));
  cpSync(good.folder, folder, { recursive: true });
  return { folder, file: join(folder, 'model', FILE) };
}

/** The rule of an outcome, or the code with which the installation failed. */
async function ruleOf(install: Promise<{ readonly rule: string }>): Promise<string> {
  return install.then(
    ({ rule }) => rule,
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}

describe('the source of a release', () => {
  test('swapped to and fro while it is let in never gets other bytes into the slot', async () => {
    const ends = new Set<string>();
    for (let round = 0; round < 25; round++) {
      await using device = new Device(pool);
      const { folder, file } = source();
      const other = `${file}.other`;
      const stop = new AbortController();
      const swapping = (async () => {
        for (let i = 0; !stop.signal.aborted; i++) {
          writeFileSync(other, i % 2 === 0 ? WRONG : RIGHT);
          renameSync(other, file);
          for (let wait = 0; wait <= round % 5; wait++) await turn();
        }
      })();
      const rule = await ruleOf(device.install(good.id, folder));
      stop.abort();
      await swapping;
      ends.add(rule);
      const linked = device.linked();
      expect([linked, linked === null ? RIGHT : device.read(FILE)]).toEqual([linked, RIGHT]);
      expect(linked).toBe(rule === 'done' ? good.id : null);
    }
    // Refused by name whenever the wrong bytes were met.
    expect([...ends].every((rule) => rule === 'done' || /^release-|^RELEASE_INVALID$/.test(rule))).toBe(true);
  });

  test('that is a link, or has one among its files, is not followed to other bytes', async () => {
    for (const bend of [
      ({ file }: { file: string }) => {
        renameSync(file, join(root, 'elsewhere'));
        symlinkSync(join(root, 'elsewhere'), file);
      },
      ({ folder }: { folder: string }) => {
        renameSync(join(folder, 'model'), join(folder, 'real'));
        symlinkSync('real', join(folder, 'model'));
      },
      ({ folder }: { folder: string }) => {
        rmSync(join(folder, 'passport.json'));
        symlinkSync('/etc/passwd', join(folder, 'passport.json'));
      },
    ]) {
      await using device = new Device(pool);
      const bent = source();
      bend(bent);
      const rule = await ruleOf(device.install(good.id, bent.folder));
      expect(rule).toMatch(/release|RELEASE/);
      expect(device.linked()).toBeNull();
    }
  });

  test.each(['a folder', 'the inbox'])(
    'in %s, held open or linked elsewhere by its owner, is not what the slot opens',
    async (from) => {
      await using device = new Device(pool);
      const inbox = join(device.stateDir, 'inbox', good.id);
      const folder = from === 'a folder' ? source().folder : inbox;
      if (from === 'the inbox') cpSync(good.folder, inbox, { recursive: true });
      const file = join(folder, 'model', FILE);
      const held = openSync(file, 'r+');
      const second = join(root, `second-${from}`);
      linkSync(file, second);
      expect((await device.install(good.id, from === 'a folder' ? folder : null)).rule).toBe('done');
      writeSync(held, WRONG);
      closeSync(held);
      writeFileSync(second, WRONG);
      expect(device.read(FILE)).toBe(RIGHT);
    },
  );
});

describe('a slot that is measured', () => {
  test('while its file is swapped is as signed, or says what it found: never one for the other', async () => {
    using slot = new SlotFolder();
    const files = { m: RIGHT };
    slot.install(files);
    const signed = signedRelease(files);
    const expected = signed.passport.manifestDigest;
    const file = join(slot.modelOf(), 'm');
    for (let round = 0; round < 100; round++) {
      const measuring = measureSlot({ slot: slotProfile(), stateDir: slot.stateDir, expected: signed, pool });
      for (let wait = 0; wait < round % 7; wait++) await turn();
      writeFileSync(join(slot.stateDir, 'next'), round % 2 === 0 ? WRONG : RIGHT);
      renameSync(join(slot.stateDir, 'next'), file);
      const { manifest, differing } = await measuring;
      const asSigned = sha256(manifest).toString('hex') === expected;
      expect(asSigned).toBe(differing.length === 0);
      const settled = await measureSlot({ slot: slotProfile(), stateDir: slot.stateDir, expected: signed, pool });
      expect(sha256(settled.manifest).toString('hex') === expected).toBe(round % 2 === 1);
    }
  });
});
