// What of a profile can be played on this machine, and where a release belongs.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { toUtf8 } from '../../src/bytes/text.ts';
import { loadProfile } from '../../src/profile/profile.ts';
import type { LoadedProfile, Profile, SlotProfile } from '../../src/profile/profile.ts';
import { playable, slotFor, slotNamed } from '../../src/rehearse/plan.ts';
import { TEST_PROFILE } from '../support/fleet.ts';

const folder = await mkdtemp(join(tmpdir(), 'plan-'));
afterAll(async () => rm(folder, { recursive: true }));

function loaded(profile: Profile): { bytes: Uint8Array; loaded: LoadedProfile } {
  const bytes = toUtf8(JSON.stringify(profile));
  return { bytes, loaded: loadProfile(bytes, 'test') };
}
const [detector] = TEST_PROFILE.slots as readonly [SlotProfile];
const plates: SlotProfile = { ...detector, name: 'plates', role: 'plate-reader', modelIds: ['plates'] };
const two: Profile = { ...TEST_PROFILE, slots: [detector, plates] };

describe('the profile as it is played', () => {
  test('is the profile byte for byte where nothing of it is missing here', async () => {
    const { bytes, loaded: original } = loaded(TEST_PROFILE);
    const played = await playable(original, bytes, null);
    expect({ same: played.bytes === bytes, notes: played.notes }).toEqual({ same: true, notes: [] });
  });

  test('says what is not measured when the runtime is not on this machine', async () => {
    const { bytes, loaded: original } = loaded({ ...TEST_PROFILE, runtime: '/opt/not-there' });
    const played = await playable(original, bytes, null);
    expect(played.loaded.profile.runtime).toBeNull();
    expect(played.notes).toEqual([expect.stringContaining('/opt/not-there')]);
  });

  test('looks for runtime and configs in the firmware image', async () => {
    await mkdir(join(folder, 'opt/runtime'), { recursive: true });
    const configs = [{ path: '/etc/detector/*.json', sha256: '00'.repeat(32) }];
    const profile = { ...TEST_PROFILE, runtime: '/opt/runtime', slots: [{ ...detector, configs }] };
    const { bytes, loaded: original } = loaded(profile);
    const played = await playable(original, bytes, folder);
    expect(played.loaded.profile.runtime).toBe(join(folder, 'opt/runtime'));
    expect(played.loaded.profile.slots[0]?.configs[0]?.path).toBe(join(folder, 'etc/detector/*.json'));
    expect(played.notes).toEqual([]);
  });

  test('holds it against nobody that the slots of other releases are empty, and says so', async () => {
    const { bytes, loaded: original } = loaded(two);
    const played = await playable(original, bytes, null);
    expect(played.loaded.profile.slots.map((slot) => slot.required)).toEqual([false, false]);
    expect(played.notes).toEqual([expect.stringContaining('empty')]);
  });

  test('says that a health check fails whose program is not on this machine', async () => {
    const slots = [{ ...detector, runtimeCommand: ['/opt/not-there/run'] }];
    const { bytes, loaded: original } = loaded({ ...TEST_PROFILE, slots });
    expect((await playable(original, bytes, null)).notes).toEqual([expect.stringContaining('/opt/not-there/run')]);
  });

  test('takes no root that would become part of a pattern', async () => {
    const { bytes, loaded: original } = loaded(TEST_PROFILE);
    await expect(playable(original, bytes, '/image*')).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('the slot of a release', () => {
  test.each([
    [{ modelId: 'plates', slotRole: 'plate-reader' }, 'plates'],
    [{ modelId: 'plates', slotRole: 'elsewhere' }, 'plates'],
    [{ modelId: 'unknown', slotRole: 'plate-reader' }, 'plates'],
    [{ modelId: 'unknown', slotRole: 'elsewhere' }, 'detector'],
  ])('of %o is %s', (passport, name) => {
    expect(slotFor(two, passport).name).toBe(name);
  });

  test('that was named must be in the profile', () => {
    expect(slotNamed(two, 'plates').name).toBe('plates');
    expect(() => slotNamed(two, 'elsewhere')).toThrow(/detector, plates/);
  });
});
