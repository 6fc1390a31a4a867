// `touchstone release add` and `list`: a fleet takes in what its key table allows, byte for byte, and shows what it has.
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { quickly, quicklyJson, touchstone } from '../support/binary.ts';
import { ReleaseTests } from './release-tests.ts';

const PROFILE = new URL('../../firmware-profiles/swtpm-development.json', import.meta.url).pathname;

const at = new ReleaseTests().register();

describe('release add', () => {
  test('puts a good release under its id, once', async () => {
    const { release } = await at.make('release');
    expect(await at.add('release')).toMatchObject({ code: 0, release, state: 'added' });
    expect(await at.add('release')).toMatchObject({ code: 0, release, state: 'present' });
    expect(await at.taken()).toEqual([release]);
    const again = await touchstone(['release', 'add', at.path('controller/releases', release), '--state', at.state]);
    expect(again.code).toBe(0);
  });

  test('repairs what was changed under its id', async () => {
    const { release } = await at.make('release');
    await at.add('release', '--link');
    await rm(at.path('controller/releases', release, 'model/weights.bin'));
    expect(await at.add('release')).toMatchObject({ code: 0, state: 'repaired' });
    expect(await at.add('release')).toMatchObject({ code: 0, state: 'present' });
    expect((await readdir(at.state)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test.each<[string, string, () => Promise<unknown>]>([
    ['release-file-changed', 'a byte changed', async () => writeFile(at.path('release/model/weights.bin'), 'weighty')],
    ['release-file-surplus', 'a file added', async () => writeFile(at.path('release/model/more'), '')],
    ['release-file-missing', 'a file gone', async () => rm(at.path('release/model/empty'))],
    ['release-unsigned', 'without a passport', async () => rm(at.path('release/passport.json'))],
    ['release-unsigned', 'without a signature', async () => rm(at.path('release/model.sig'))],
    ['release-malformed', 'with a garbled passport', async () => writeFile(at.path('release/passport.json'), '{}')],
    [
      'release-file-kind',
      'with a link that leads out',
      async () => {
        await rename(at.path('release/model/weights.bin'), at.path('outside'));
        await symlink('../../outside', at.path('release/model/weights.bin'));
      },
    ],
  ])('refuses by %s one %s, and leaves nothing', async (rule, _title, change) => {
    await at.make('release');
    await change();
    const { code, findings } = await at.add('release');
    expect({ code, rules: findings.map((finding) => finding.rule) }).toEqual({ code: 1, rules: [rule] });
    expect(await at.taken()).toEqual([]);
  });

  test('refuses by release-signer what a stranger signed, in words that say what to do', async () => {
    await quickly(['keygen', '--out', at.path('keys')]);
    await at.make('release', '--key', at.path('keys/publisher.key.pem'));
    const called = await touchstone(['release', 'add', at.path('release'), '--state', at.state]);
    expect(called.code).toBe(1);
    for (const words of ['refused', 'release-signer', 'what to do:']) expect(called.stdout).toContain(words);
  });

  test('refuses a model that this publisher may not sign', async () => {
    await at.make('release', '--model-id', 'heart');
    const { code, findings } = await at.add('release');
    expect({ code, rule: findings[0]?.rule }).toEqual({ code: 1, rule: 'release-signer' });
  });

  test('fails where there is no controller, and needs to be told of one', async () => {
    await at.make('release');
    expect((await quickly(['release', 'add', at.path('release'), '--state', at.path('nowhere')])).code).toBe(3);
    expect((await quickly(['release', 'add', at.path('release')])).code).toBe(2);
    const env = { TOUCHSTONE_STATE: at.state };
    expect((await touchstone(['release', 'add', at.path('release')], { env })).code).toBe(0);
  });
});

test('release add says when no device would take it, or when some refuse it', async () => {
  await at.make('newer', '--release-version', '9.0', '--security-version', '9');
  await at.make('release');
  const { stderr } = await quickly(['release', 'add', at.path('newer'), '--state', at.state]);
  expect(stderr).toContain('has no profile');
  const profile = JSON.parse(await readFile(PROFILE, 'utf8')) as {
    hardwareClass: string;
    slots: { modelIds: string[] }[];
  };
  const file = at.path('controller/profiles/p.json');
  await writeFile(file, JSON.stringify(profile));
  const called = await quicklyJson(['release', 'add', at.path('release'), '--state', at.state]);
  expect(called.document).toMatchObject({
    advice: [
      'no device takes it: none of the controller’s profiles has a slot for model detector in role detector on cam-a or cam-b',
      'devices that run 9.0 refuse it: its security version is lower',
    ],
  });
  const fitting = {
    ...profile,
    hardwareClass: 'cam-b',
    slots: profile.slots.map((slot) => ({ ...slot, modelIds: ['detector'] })),
  };
  await writeFile(file, JSON.stringify(fitting));
  const again = await quicklyJson(['release', 'add', at.path('newer'), '--state', at.state]);
  expect(again).toMatchObject({ stderr: '', document: { advice: [] } });
  await writeFile(file, JSON.stringify({ ...fitting, formats: ['safetensors'] }));
  await at.make('odd', '--security-version', '10');
  const odd = await quickly(['release', 'add', at.path('odd'), '--state', at.state]);
  expect(odd.stderr).toContain(
    'refuse it: release-format: expected models as safetensors, and no code, found empty: a kind of file that no model needs',
  );
});

describe('release list', () => {
  test('shows what is usable, withdrawn, not yet or no more valid, and why another is refused', async () => {
    const first = await at.make('first', '--release-version', '1.0', '--security-version', '1');
    await at.make('second', '--withdraw', first.release);
    await at.make('later', '--release-version', '9', '--not-before', '2999-01-01');
    for (const folder of ['first', 'second', 'later']) await at.add(folder);
    await mkdir(at.path('controller/releases/junk'));
    const listing = ['release', 'list', '--state', at.state];
    const { code, stdout } = await touchstone(listing);
    expect(code).toBe(0);
    for (const words of ['usable', 'withdrawn by', 'from 2999-01-01', 'refused: release-unsigned', 'detector 1.0']) {
      expect(stdout).toContain(words);
    }
    const { document } = await quicklyJson(listing);
    const { releases } = document as { releases: { release?: string; usable: boolean; withdrawnBy?: string | null }[] };
    expect(releases.map(({ usable }) => usable)).toEqual([false, true, true, false]);
    expect(releases[0]).toMatchObject({ release: first.release, securityVersion: 1 });
  });

  test('says what to do when there is none', async () => {
    const { code, stdout } = await quickly(['release', 'list', '--state', at.state]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'no releases yet; add one with: touchstone release add RELEASE\n',
    });
  });
});
