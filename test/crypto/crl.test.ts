// Revocation lists as openssl makes them: read as they are, and never believed when a bit of them is another.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WireError } from '../../src/errors.ts';
import { readCrl, readCrlFile } from '../../src/crypto/crl.ts';
import { derTime, derValues } from '../../src/crypto/der-values.ts';
import { Issuer } from '../support/make-ek-certificate.ts';
import { opensslCrl } from '../support/openssl-crl.ts';
import type { CrlPlan } from '../support/openssl-crl.ts';

const FROM = Date.UTC(2026, 0, 1);
const UNTIL = Date.UTC(2026, 1, 1);
const root = new Issuer('vendor root');
const other = new Issuer('vendor root');
const pem = root.certificate.toString();

const made = (plan: Partial<CrlPlan> = {}): Buffer =>
  opensslCrl({ key: root.key, pem }, { from: FROM, until: UNTIL, ...plan });

describe('a list of openssl', () => {
  const crl = readCrl(made({ revoked: ['05', '80FF', 'AB01'] }));

  test('is read: who, when, and which serial numbers', () => {
    const { issuer, thisUpdate, nextUpdate, scope, unusable, revoked } = crl;
    expect({ issuer, thisUpdate, nextUpdate, scope, unusable }).toEqual({
      issuer: '[["550403","vendor root"]]',
      thisUpdate: FROM,
      nextUpdate: UNTIL,
      scope: 'all',
      unusable: null,
    });
    expect([...revoked]).toEqual(['05', '0080ff', '00ab01']);
  });

  test('is its issuer’s, and not of another with the same name', () => {
    expect(crl.signedBy(root.certificate.publicKey)).toBe(true);
    expect(crl.signedBy(other.certificate.publicKey)).toBe(false);
    expect(crl.signedBy(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)).toBe(false);
  });

  test('without any entry is read', () => {
    expect(readCrl(made()).revoked.size).toBe(0);
  });

  test('with an entry on hold has it', () => {
    expect([...readCrl(made({ revoked: ['07'], reason: 'holdInstruction,holdInstructionReject' })).revoked]).toEqual([
      '07',
    ]);
  });

  test('signed with SHA-1 is nobody’s', () => {
    expect(readCrl(made({ hash: 'sha1' })).signedBy(root.certificate.publicKey)).toBe(false);
  });

  test.each(['sha384', 'sha512'])('signed with %s is its issuer’s', (hash) => {
    expect(readCrl(made({ hash })).signedBy(root.certificate.publicKey)).toBe(true);
  });

  test('of an RSA authority is its issuer’s', () => {
    const dir = mkdtempSync(join(tmpdir(), 'rsa-'));
    try {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      writeFileSync(join(dir, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      const asked = ['req', '-x509', '-new', '-key', join(dir, 'key.pem'), '-subj', '/O=Vendor/CN=RSA root'];
      execFileSync('openssl', [...asked, '-out', join(dir, 'ca.pem')], { stdio: 'pipe' });
      const issuer = { key: privateKey, pem: readFileSync(join(dir, 'ca.pem'), 'utf8') };
      const list = readCrl(opensslCrl(issuer, { from: FROM, until: UNTIL, revoked: ['01'] }));
      expect([list.signedBy(createPublicKey(privateKey)), list.issuer, [...list.revoked]]).toEqual([
        true,
        '[["55040a","vendor"],["550403","rsa root"]]',
        ['01'],
      ]);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('a list that speaks for a part', () => {
  const limited = (...lines: readonly string[]): Buffer =>
    made({ extensions: ['issuingDistributionPoint = critical, @point', '[point]', ...lines] });

  test.each([
    ['onlyuser = TRUE', 'leaves'],
    ['onlyCA = TRUE', 'authorities'],
    ['fullname = URI:http://vendor.example/list', 'all'],
  ])('%s: is known to', (line, scope) => {
    expect(readCrl(limited(line))).toMatchObject({ scope, unusable: null });
  });

  test.each([
    ['indirectCRL = TRUE', 'an indirect list'],
    ['onlyAA = TRUE', 'a list of attribute certificates'],
    ['onlysomereasons = keyCompromise', 'a list of some reasons only'],
  ])('%s: answers for nothing', (line, why) => {
    expect(readCrl(limited(line)).unusable).toBe(why);
  });

  test('only changes: answers for nothing', () => {
    expect(readCrl(made({ extensions: ['2.5.29.27 = critical, DER:02:01:01'] })).unusable).toBe(
      'a list of changes only',
    );
  });

  test('with a critical extension that is not known: answers for nothing', () => {
    expect(readCrl(made({ extensions: ['1.2.3.4 = critical, DER:05:00'] })).unusable).toContain('critical extension');
  });
});

/** Whatever is no list is a WireError, and nothing else. */
function believes(der: Buffer): boolean {
  try {
    return readCrl(der).signedBy(root.certificate.publicKey);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

describe('hostile bytes', () => {
  const der = made({ revoked: ['05', '06'] });

  test('cut anywhere are refused', () => {
    for (let length = 0; length < der.length; length++) {
      expect(() => readCrl(der.subarray(0, length))).toThrow(WireError);
    }
    expect(() => readCrl(Buffer.concat([der, Buffer.from([0])]))).toThrow(WireError);
  });

  test('with any bit changed are refused or nobody’s', () => {
    let believed = 0;
    for (let bit = 0; bit < der.length * 8; bit++) {
      const changed = Buffer.from(der);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (believes(changed)) believed++;
    }
    expect(believed).toBe(0);
  });

  test.each([
    ['an indefinite length', '3080'],
    ['a length longer than it must be', '308105'],
    ['a length with a zero before it', '30820005'],
    ['a tag of several octets', '1f8101'],
    ['a length of five octets', '308500'],
  ])('%s is refused', (_, hex) => {
    expect(() => derValues(Buffer.from(`${hex}0000000000`, 'hex'), 4)).toThrow(WireError);
  });

  test('more values than asked for are refused', () => {
    expect(() => derValues(Buffer.from('050005000500', 'hex'), 2)).toThrow(WireError);
  });

  test.each(['260230000000Z', '2601010000Z', '260101000000+0100', ''])('%j is no time', (text) => {
    const content = Buffer.from(text);
    expect(() => derTime({ tag: 0x17, bytes: content, content })).toThrow(WireError);
  });
});

test('a file holds one list in DER, or several in PEM', () => {
  const block = (der: Buffer): string =>
    `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
  const [a, b] = [made({ revoked: ['01'] }), made({ revoked: ['02'] })];
  expect(readCrlFile(a).map((crl) => [...crl.revoked])).toEqual([['01']]);
  expect(readCrlFile(Buffer.from(`x\n${block(a)}${block(b)}`)).map((crl) => [...crl.revoked])).toEqual([
    ['01'],
    ['02'],
  ]);
  expect(() => readCrlFile(Buffer.from('nothing'))).toThrow(WireError);
});
