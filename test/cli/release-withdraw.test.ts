// `touchstone release withdraw`: a good release again, under a passport that says which ones must go.
import { appendFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { loadReferences } from '../../src/controller/references.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import { quickly, quicklyJson, touchstone } from '../support/binary.ts';
import { ReleaseTests } from './release-tests.ts';
import type { Made } from './release-tests.ts';

const at = new ReleaseTests().register();

describe('release withdraw', () => {
  async function withdraw(...args: string[]): Promise<{ code: number | null; document: Made; stderr: string }> {
    const called = await quicklyJson(['release', 'withdraw', ...args, '--key', at.key, '--out', at.path('out')]);
    return { ...called, document: called.document as Made };
  }

  test('makes the replacement again, one security version above what it withdraws', async () => {
    const good = await at.make('good', '--release-version', '2.0', '--security-version', '3');
    await appendFile(at.path('model/weights.bin'), 'worse');
    const bad = await at.make('bad', '--release-version', '2.1', '--security-version', '4');
    await at.add('bad');
    const { code, document } = await withdraw(bad.release, '--replacement', at.path('good'), '--state', at.state);
    expect(code).toBe(0);
    expect(document.passport).toEqual({
      ...good.passport,
      securityVersion: 5,
      predecessor: good.release,
      withdraws: [bad.release],
    });
    expect(await at.add('out')).toMatchObject({ code: 0, state: 'added' });
    const { document: listed } = await quicklyJson(['release', 'list', '--state', at.state]);
    expect(listed).toMatchObject({
      releases: [
        { release: bad.release, usable: false },
        { release: document.release, usable: true },
      ],
    });
  });

  test('takes a release folder for a name, and says what a disk makes forget', async () => {
    await at.make('good');
    await at.make('bad', '--release-version', '2.2');
    const { code, stderr } = await withdraw(
      at.path('bad'),
      '--replacement',
      at.path('good'),
      '--security-version',
      '3',
    );
    expect(code).toBe(0);
    expect(stderr).toContain('makes it forget this withdrawal');
  });

  test('signs nothing that it could not verify', async () => {
    const { release } = await at.make('good');
    await writeFile(at.path('good/model/weights.bin'), 'weighty');
    const changed = await touchstone([
      'release',
      'withdraw',
      'ab'.repeat(32),
      '--replacement',
      at.path('good'),
      '--key',
      at.key,
      '--out',
      at.path('out'),
      '--security-version',
      '9',
    ]);
    expect(changed.code).toBe(1);
    expect(changed.stdout).toContain('release-file-changed');
    await quickly(['keygen', '--out', at.path('keys')]);
    await at.make('other', '--key', at.path('keys/publisher.key.pem'));
    const stranger = await withdraw(release, '--replacement', at.path('other'), '--security-version', '9');
    expect(stranger.code).toBe(1);
    expect(stranger.document).toMatchObject({
      release: null,
      findings: [{ rule: 'release-signer' }, { rule: 'release-signer' }],
    });
    expect(await at.lies()).not.toContain('out');
  });

  test('counts for releases of its own model only', async () => {
    const { release } = await at.make('good');
    const lung = ['--model-id', 'lung', '--release-version', '3'];
    await at.make('lung', ...lung, '--withdraw', release);
    for (const folder of ['good', 'lung']) expect(await at.add(folder)).toMatchObject({ code: 0, state: 'added' });
    const { document } = await quicklyJson(['release', 'list', '--state', at.state]);
    expect(document).toMatchObject({ releases: [{ usable: true }, { usable: true }] });
    const now = Date.now();
    const { trust } = loadSettings(at.state, now);
    expect([...loadReferences(at.state, trust).releases.values()].map(({ withdrawn }) => withdrawn)).toEqual([
      false,
      false,
    ]);
    const other = await withdraw(at.path('lung'), '--replacement', at.path('good'));
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot withdraw it') as string });
  });

  test('needs to know what it withdraws', async () => {
    const { release } = await at.make('good');
    const unknown = ['ab'.repeat(32), '--replacement', at.path('good')];
    expect((await withdraw(...unknown)).code).toBe(2);
    expect((await withdraw('nosuch', '--replacement', at.path('good'))).code).toBe(2);
    const itself = await withdraw(release, '--replacement', at.path('good'), '--security-version', '9');
    expect(itself.code).toBe(2);
    expect(itself.stderr).toContain('is itself to be withdrawn');
  });
});
