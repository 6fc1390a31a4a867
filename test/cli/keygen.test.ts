// `touchstone keygen`, and what every command says of a key file that it cannot use.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quickly, quicklyJson, Scratch, touchstone, touchstoneJson } from '../support/binary.ts';

let scratch: Scratch;

beforeAll(async () => {
  scratch = await Scratch.make();
  await scratch.write({ 'model/weights.bin': 'weights' });
});

afterAll(async () => scratch[Symbol.asyncDispose]());

function pem(key: { export(options: object): string | Buffer }, type: 'pkcs8' | 'spki', more: object = {}): string {
  return key.export({ type, format: 'pem', ...more }).toString();
}

describe('touchstone keygen', () => {
  test.each(['p256', 'p384'] as const)(
    'makes a pair on %s that openssl reads, the private half for its owner only',
    async (curve) => {
      const out = scratch.path(`keys-${curve}`);
      const { code, document: said } = await touchstoneJson(['keygen', '--out', out, '--curve', curve]);
      const document = said as { privateKey: string; publicKey: string };
      expect(code).toBe(0);
      expect(document).toEqual({
        privateKey: `${out}/publisher.key.pem`,
        publicKey: `${out}/publisher.pub.pem`,
        keyId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        curve,
      });
      expect((await stat(document.privateKey)).mode & 0o777).toBe(0o600);
      const shown = execFileSync('openssl', ['pkey', '-in', document.privateKey, '-pubout'], { encoding: 'utf8' });
      expect(shown).toBe(await readFile(document.publicKey, 'utf8'));
      const text = execFileSync('openssl', ['pkey', '-pubin', '-in', document.publicKey, '-noout', '-text'], {
        encoding: 'utf8',
      });
      expect(text).toContain(curve === 'p256' ? 'P-256' : 'P-384');
    },
  );

  test('never overwrites a key, not even half of a pair', async () => {
    await scratch.write({ 'half/publisher.pub.pem': 'mine' });
    const { code, stderr } = await touchstone(['keygen', '--out', scratch.path('half')]);
    expect(code).toBe(3);
    expect(stderr).toContain('publisher.pub.pem is there already');
    expect(await readFile(scratch.path('half/publisher.pub.pem'), 'utf8')).toBe('mine');
    await expect(stat(scratch.path('half/publisher.key.pem'))).rejects.toThrow('ENOENT');
  });

  test.each([
    [['keygen']],
    [['keygen', '--out', 'x', '--curve', 'ed25519']],
    [['keygen', '--out', 'x', '--no-backup']],
  ])('takes wrong usage as such: %j', async (args) => {
    expect((await touchstone(args, { cwd: scratch.dir })).code).toBe(2);
  });
});

describe('a key file that cannot be used', () => {
  const good = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const cases: readonly [string, string, string][] = [
    [
      'encrypted',
      pem(good.privateKey, 'pkcs8', { cipher: 'aes-256-cbc', passphrase: 'x' }),
      'is encrypted; decrypt it',
    ],
    ['public', pem(good.publicKey, 'spki'), 'signing needs the private key'],
    ['of another kind', pem(rsa.privateKey, 'pkcs8'), 'of kind rsa, must be ECDSA'],
    [
      'on another curve',
      pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, 'pkcs8'),
      'of kind secp256k1, must be ECDSA',
    ],
    ['no key at all', 'weights', 'is not a private key in PEM'],
    ['too long for a key', 'x'.repeat(100_000), 'is longer than 65536 bytes'],
  ];

  test.each(cases)('for signing: %s', async (title, content, said) => {
    const file = scratch.path(`${title}.pem`);
    await scratch.write({ [`${title}.pem`]: content });
    await chmod(file, 0o600);
    const { code, stderr, document } = await quicklyJson(['sign', scratch.path('model'), '--key', file]);
    expect({ code, document }).toMatchObject({ code: 3, document: { error: { code: 'KEY_INVALID' } } });
    expect(stderr).toContain(said);
    // Nothing of what the file holds is repeated.
    expect(stderr + JSON.stringify(document)).not.toContain(content.split('\n')[1] ?? 'weights!');
  });

  test('that is not there says so', async () => {
    const { code, stderr } = await quickly(['sign', scratch.path('model'), '--key', scratch.path('nowhere.pem')]);
    expect(code).toBe(3);
    expect(stderr).toContain('cannot read');
  });

  test.each([
    ['a private one', pem(good.privateKey, 'pkcs8'), 'give the public one'],
    ['an RSA key', pem(rsa.publicKey, 'spki'), 'must be ECDSA'],
    ['no key at all', 'weights', 'is not a public key in PEM'],
    ['a certificate', '-----BEGIN CERTIFICATE-----\n', 'use --certificate-chain'],
  ])('for verifying: %s', async (title, content, said) => {
    await scratch.write({ [`${title}.pub`]: content });
    const { code, stderr } = await quickly(['verify', scratch.path('model'), '--key', scratch.path(`${title}.pub`)]);
    expect(code).toBe(3);
    expect(stderr).toContain(said);
  });

  test('and one that others may read is used, with a word about it', async () => {
    await scratch.write({ 'open.pem': pem(good.privateKey, 'pkcs8') });
    await chmod(scratch.path('open.pem'), 0o644);
    const { code, stderr } = await quickly(['sign', scratch.path('model'), '--key', scratch.path('open.pem')]);
    expect(code).toBe(0);
    expect(stderr).toContain('chmod 600');
  });

  test('while one on standard input is taken as it is', async () => {
    const { code, stderr } = await touchstone(['sign', scratch.path('model'), '--key', '-'], {
      stdin: pem(good.privateKey, 'pkcs8'),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
