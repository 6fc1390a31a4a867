// `touchstone profile new`: a valid profile from a few answers, and never over another file.
import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BOOT_CHAINS, NEW_PROFILE, newProfile } from '../../src/profile/new-profile.ts';
import type { BootChainName } from '../../src/profile/new-profile.ts';
import { inspectProfile } from '../../src/profile/profile.ts';
import type { Profile } from '../../src/profile/profile.ts';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';

let scratch: Scratch;
beforeEach(async () => {
  scratch = await Scratch.make();
});
afterEach(async () => scratch[Symbol.asyncDispose]());

const written = async (name: string): Promise<Profile> =>
  JSON.parse(await readFile(scratch.path(name), 'utf8')) as Profile;

describe('a new profile', () => {
  test.each(Object.keys(BOOT_CHAINS) as BootChainName[])(
    'is valid for %s, with an event PCR that is none of the boot’s',
    (bootChain) => {
      const profile = newProfile({ ...NEW_PROFILE, bootChain });
      expect('loaded' in inspectProfile(Buffer.from(JSON.stringify(profile)))).toBe(true);
      expect(profile.tpm.bootPcrs).not.toContain(profile.tpm.eventPcr);
    },
  );

  test('lets two messages of a lease be lost', () => {
    const { leaseSeconds, attestEverySeconds } = newProfile({ ...NEW_PROFILE, offlineSeconds: 3600 });
    expect(attestEverySeconds * 3).toBeLessThanOrEqual(leaseSeconds);
  });

  test('is written from options, and asks nobody where there is no terminal', async () => {
    const file = scratch.path('camera.json');
    const options = [
      '--boot',
      'u-boot',
      '--model-id',
      'Person Detector',
      'plates',
      '--offline',
      '7d',
      '--format',
      'onnx',
    ];
    const { code, document } = await quicklyJson(['profile', 'new', file, ...options]);
    expect(code).toBe(0);
    expect(document).toMatchObject({ id: 'camera', file });
    const profile = await written('camera.json');
    expect(profile.slots.map((slot) => [slot.name, slot.modelIds])).toEqual([
      ['person-detector', ['Person Detector']],
      ['plates', ['plates']],
    ]);
    expect(profile).toMatchObject({ leaseSeconds: 604_800, formats: ['onnx'], hardwareClass: 'camera' });
  });

  test('takes the place of no file', async () => {
    await writeFile(scratch.path('mine.json'), 'mine');
    const { code, document } = await quicklyJson(['profile', 'new', scratch.path('mine.json')]);
    expect({ code, document }).toMatchObject({ code: 3, document: { error: { code: 'ALREADY_THERE' } } });
    expect(await readFile(scratch.path('mine.json'), 'utf8')).toBe('mine');
  });

  test.each([
    ['--boot', 'lilo'],
    ['--offline', 'soon'],
    ['--format', 'pickle'],
    ['--model-id', 'a', 'A'],
  ])('is not written for %s %s', async (...words) => {
    const { code } = await quickly(['profile', 'new', scratch.path('p.json'), ...words]);
    expect(code).toBe(2);
    await expect(written('p.json')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
