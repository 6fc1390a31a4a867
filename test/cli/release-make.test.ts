// `touchstone release make`: what a publisher makes is whole, signed, and says what it was told.
import { execFileSync, spawn } from 'node:child_process';
import { readdir, readFile, stat, symlink } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { pae } from '../../src/crypto/dsse.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { quickly, touchstone } from '../support/binary.ts';
import { OPTIONS, ReleaseTests } from './release-tests.ts';

const at = new ReleaseTests().register();

describe('release make', () => {
  test('makes model, signature and passport, and leaves out what belongs to version control', async () => {
    const made = await at.make('release');
    expect(await readdir(at.path('release'))).toEqual(['model', 'model.sig', 'passport.json']);
    expect((await readdir(at.path('release/model'))).toSorted()).toEqual(['cards', 'empty', 'weights.bin']);
    expect(made).toMatchObject({
      files: 3,
      bytes: 13,
      passport: { v: 1, version: '2.1', hardwareClass: ['cam-a', 'cam-b'] },
    });
    // Any tool for OpenSSF Model Signing takes the model.
    const verified = await quickly([
      'verify',
      at.path('release/model'),
      '--signature',
      at.path('release/model.sig'),
      '--key',
      at.fleet.path('fleet/publisher/publisher.pub.pem'),
    ]);
    expect(verified.code).toBe(0);
  });

  test('says in the passport everything that it was told', async () => {
    const old = 'ab'.repeat(32);
    const { passport } = await at.make(
      'release',
      '--minimum-agent',
      '1.2.0',
      '--not-before',
      '2026-01-31',
      '--not-after',
      '2999-12-31T12:00:00+01:00',
      '--predecessor',
      old,
      '--withdraw',
      old,
      '--withdraw',
      'cd'.repeat(32),
      '--intended-use',
      'seeing cats',
      '--model-card',
      'cards/card.md',
      '--health-check',
      'empty',
      '--attestation',
      `https://slsa.dev/provenance/v1=${at.path('slsa.json')}`,
      '--pccp-change-id',
      'PCCP-7',
    );
    expect(passport).toEqual({
      v: 1,
      modelId: 'detector',
      version: '2.1',
      securityVersion: 3,
      slotRole: 'detector',
      hardwareClass: ['cam-a', 'cam-b'],
      minimumAgent: '1.2.0',
      notBefore: Date.UTC(2026, 0, 31),
      notAfter: Date.UTC(2999, 11, 31, 11),
      statementDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      manifestDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      predecessor: old,
      withdraws: [old, 'cd'.repeat(32)],
      intendedUse: 'seeing cats',
      modelCard: 'cards/card.md',
      healthCheck: 'empty',
      attestations: [{ type: 'https://slsa.dev/provenance/v1', digest: sha256(Buffer.from('{}')).toString('hex') }],
      pccpChangeId: 'PCCP-7',
    });
    expect((await at.add('release')).state).toBe('added');
  });

  test('takes a model of one file', async () => {
    const called = await quickly([
      'release',
      'make',
      at.path('model/weights.bin'),
      '--key',
      at.key,
      ...OPTIONS,
      '--out',
      at.path('one'),
    ]);
    expect(called.code).toBe(0);
    expect(await readdir(at.path('one/model'))).toEqual(['weights.bin']);
    expect((await at.add('one')).code).toBe(0);
  });

  test('with --link makes no second copy of the bytes', async () => {
    await at.make('release', '--link');
    const [one, other] = await Promise.all([
      stat(at.path('model/weights.bin')),
      stat(at.path('release/model/weights.bin')),
    ]);
    expect(one.ino).toBe(other.ino);
  });

  test('never writes over what is there, and leaves nothing half done', async () => {
    await at.make('release');
    const again = await quickly([
      'release',
      'make',
      at.path('model'),
      '--key',
      at.key,
      ...OPTIONS,
      '--out',
      at.path('release'),
    ]);
    expect(again.code).toBe(3);
    expect(again.stderr).toContain('is there already');
    await symlink('weights.bin', at.path('model/link'));
    const linked = await quickly([
      'release',
      'make',
      at.path('model'),
      '--key',
      at.key,
      ...OPTIONS,
      '--out',
      at.path('other'),
    ]);
    expect(linked.code).toBe(3);
    expect(await at.lies()).toEqual(['controller', 'model', 'release', 'slsa.json']);
  });

  test.each([
    ['a folder inside of the model', ['--out', 'model/release']],
    ['a model card that is not there', ['--out', 'r', '--model-card', 'card.md']],
    ['a health check outside of the model', ['--out', 'r', '--health-check', '../slsa.json']],
    ['an attestation that is not there', ['--out', 'r', '--attestation', 'slsa=nowhere.json']],
  ])('fails for %s', async (_title, more) => {
    const called = await touchstone(['release', 'make', 'model', '--key', at.key, ...OPTIONS, ...more], {
      cwd: at.scratch.dir,
    });
    expect(called.code).toBe(3);
    expect(await at.lies()).toEqual(['controller', 'model', 'slsa.json']);
  });

  test.each([
    ['no hardware class', OPTIONS.slice(0, 8)],
    ['a security version below zero', [...OPTIONS, '--security-version', '-1']],
    ['a security version that no number holds', [...OPTIONS, '--security-version', '99999999999999999']],
    ['a day that there is not', [...OPTIONS, '--not-after', '2027-02-30']],
    ['a last day that is past', [...OPTIONS, '--not-after', '2020-01-01']],
    ['an end before the start', [...OPTIONS, '--not-before', '2998-01-02', '--not-after', '2998-01-01']],
    ['an agent version that is none', [...OPTIONS, '--minimum-agent', 'newest']],
    ['a withdrawn id that is none', [...OPTIONS, '--withdraw', 'abc']],
    ['an attestation without a file', [...OPTIONS, '--attestation', 'slsa']],
    ['a role that no slot can have', [...OPTIONS, '--slot-role', 'Main Slot']],
    ['a text with control characters', [...OPTIONS, '--intended-use', 'a\u001B[2Jb']],
    ['an unknown option', [...OPTIONS, '--no-passport']],
  ])('calls it wrong usage: %s', async (_title, options) => {
    const args = ['release', 'make', at.path('model'), '--key', at.key, '--out', at.path('r')];
    const called = await quickly([...args, ...options]);
    expect(called).toMatchObject({ code: 2, stdout: '' });
    expect(called.stderr).not.toContain('\u001B');
    expect(await readdir(at.scratch.dir)).not.toContain('r');
  });

  test('says what a withdrawal needs to hold, and ships no key', async () => {
    const withdrawing = await quickly(at.making('release', '--withdraw', 'ab'.repeat(32)));
    expect(withdrawing.stderr).toContain('an older disk forgets it');
    await at.scratch.write({ 'model/publisher.key.pem': await readFile(at.key) });
    const shipping = await quickly(at.making('other', '--key', at.path('model/publisher.key.pem')));
    expect(shipping).toMatchObject({ code: 2, stderr: expect.stringContaining('would be shipped with it') as string });
  });

  test('cleans up when it is interrupted, and dies of the signal', async () => {
    // Many files, each made durable by itself: long enough to be caught in the middle.
    await at.scratch.write(Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`model/many/${n}`, 'x'])));
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const child = spawn(
      process.execPath,
      [main, 'release', 'make', at.path('model'), '--key', at.key, ...OPTIONS, '--out', at.path('r')],
      { stdio: 'ignore' },
    );
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.once('close', (_code, signal) => resolve(signal)),
    );
    const begun = async (): Promise<boolean> =>
      (await readdir(at.scratch.dir)).some((name) => name.startsWith('.touchstone-tmp-'));
    while (!(await begun()) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
    child.kill('SIGINT');
    expect(await ended).toBe('SIGINT');
    expect(await at.lies()).toEqual(['controller', 'model', 'slsa.json']);
  });

  test('is there as a whole or not at all, at whatever moment the power goes', async () => {
    await at.scratch.write(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`model/many/${n}`, 'x'])));
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    let cuts = 0;
    for (let tries = 0; tries < 12; tries++) {
      const out = `r${tries}`;
      const child = spawn(process.execPath, [main, ...at.making(out)], { stdio: 'ignore' });
      const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
      // Later with each try, from before the first file on.
      const begun = async (): Promise<boolean> => (await at.lies()).some((name) => name.includes(`-tmp-${out}-`));
      while (!(await begun()) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, tries * 12));
      child.kill('SIGKILL');
      const cut = (await ended) !== 0;
      if (cut) cuts++;
      const there = (await at.lies()).includes(out);
      expect({ out, whole: there ? (await at.add(out)).code : 0 }).toEqual({ out, whole: 0 });
    }
    expect(cuts).toBeGreaterThan(0);
    await at.make('after');
  });

  test.each(['p256', 'p384'])('openssl verifies the signature of its passport (%s)', async (curve) => {
    await quickly(['keygen', '--out', at.path('keys'), '--curve', curve]);
    await at.make('release', '--key', at.path('keys/publisher.key.pem'));
    const envelope = JSON.parse(await readFile(at.path('release/passport.json'), 'utf8')) as {
      payload: string;
      payloadType: string;
      signatures: { sig: string }[];
    };
    await at.scratch.write({
      message: pae(envelope.payloadType, Buffer.from(envelope.payload, 'base64')),
      sig: Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'),
    });
    const hash = curve === 'p256' ? '-sha256' : '-sha384';
    const args = ['dgst', hash, '-verify', 'keys/publisher.pub.pem', '-signature', 'sig', 'message'];
    expect(execFileSync('openssl', args, { cwd: at.scratch.dir, encoding: 'utf8' })).toBe('Verified OK\n');
  });
});
