// Certificates of endorsement keys: what each check stops passes when it is taken away, and no certificate whatever does harm.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { context, octets, oid, sequence, set, utf8 } from '../../src/crypto/der.ts';
import type { Asn1 } from '../../src/crypto/der.ts';
import { certificatesOf, checkEkCertificate, EK_CHECKS } from '../../src/crypto/ek-certificate.ts';
import type { EkCertificateCheck } from '../../src/crypto/ek-certificate.ts';
import { EK_PURPOSE, extension, Issuer } from '../support/make-ek-certificate.ts';
import type { CertificateFields } from '../support/make-ek-certificate.ts';

const NOW = Date.UTC(2026, 0, 1);
const root = new Issuer('vendor root');
const middle = new Issuer('vendor intermediate', root);
const other = new Issuer('somebody');
const ek = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const spki = (key: typeof ek): Buffer => key.export({ type: 'spki', format: 'der' });

interface Case {
  readonly issuer?: Issuer;
  readonly leaf?: Partial<CertificateFields>;
  readonly roots?: readonly X509Certificate[];
  readonly intermediates?: readonly Uint8Array[];
}

function judge(
  { issuer = root, leaf = {}, roots = [root.certificate], intermediates = [] }: Case,
  without = '',
): EkCertificateCheck {
  const checks = EK_CHECKS.filter(({ name }) => name !== without);
  return checkEkCertificate(issuer.issue({ publicKey: ek, ...leaf }), ek, { roots, intermediates }, NOW, checks);
}

describe('a certificate', () => {
  test('of the key, below a root of the operator, speaks for it and names its TPM', () => {
    const { faults, chain, tpm } = judge({});
    expect(faults).toEqual([]);
    expect(chain.map(({ subject }) => subject)).toEqual(['CN=TPM', 'CN=vendor root']);
    expect(tpm).toEqual({ manufacturer: 'id:54535400', model: 'model', version: 'id:00010002' });
  });

  test('below an intermediate that came along speaks for it too', () => {
    const { faults, chain } = judge({ issuer: middle, intermediates: [other.certificate.raw, middle.certificate.raw] });
    expect(faults).toEqual([]);
    expect(chain).toHaveLength(3);
  });

  test('of an RSA key speaks for that key', () => {
    const der = root.issue({ publicKey: rsa });
    expect(checkEkCertificate(der, rsa, { roots: [root.certificate], intermediates: [] }, NOW).faults).toEqual([]);
  });

  test('of an RSA key that says it is for OAEP alone, as some vendors write it, speaks for that key and no other', () => {
    const named = (key: typeof rsa): Buffer =>
      Buffer.from(spki(key).toString('hex').replace('2a864886f70d010101', '2a864886f70d010107'), 'hex');
    const judged = (key: typeof rsa): readonly string[] =>
      checkEkCertificate(
        root.issue({ publicKey: rsa, spki: named(key) }),
        rsa,
        { roots: [root.certificate], intermediates: [] },
        NOW,
      ).faults;
    expect(judged(rsa)).toEqual([]);
    expect(judged(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)).toEqual([
      'the EK certificate is for another key',
    ]);
  });

  test('with what its NV index holds beyond it, as some vendors leave it, is read as it is', () => {
    for (const padding of [0x00, 0xff]) {
      const der = Buffer.concat([root.issue({ publicKey: ek }), Buffer.alloc(200, padding)]);
      expect(checkEkCertificate(der, ek, { roots: [root.certificate], intermediates: [] }, NOW).faults).toEqual([]);
    }
  });

  test('of a P-384 key speaks for that key', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const der = root.issue({ publicKey });
    expect(checkEkCertificate(der, publicKey, { roots: [root.certificate], intermediates: [] }, NOW).faults).toEqual(
      [],
    );
  });

  test('without purposes, as some vendors make them, is tolerated', () => {
    expect(judge({ leaf: { purposes: [] } }).faults).toEqual([]);
  });

  test.each([
    ['key encipherment', 0x20],
    ['key agreement', 0x08],
  ])('for %s, whichever of the two its vendor chose for which kind of key, is good', (_, usage) => {
    expect(judge({ leaf: { usage } }).faults).toEqual([]);
  });

  test('that does not expire before year 10000 is in its validity', () => {
    expect(judge({ leaf: { notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) } }).faults).toEqual([]);
  });

  test('without a name of its own, as many vendors make them, is named by what it is', () => {
    expect(judge({ leaf: { subject: '' } })).toMatchObject({ faults: [], chain: [{ subject: '' }, {}] });
    expect(judge({ leaf: { subject: '', notAfter: NOW - 1000 } }).faults).toEqual([
      'the EK certificate is outside its validity',
    ]);
  });

  test('below a root whose time is over is good: the operator trusts that root as it is', () => {
    const old = new Issuer('old root', undefined, { notAfter: NOW - 1 });
    expect(judge({ issuer: old, roots: [old.certificate] }).faults).toEqual([]);
  });
});

const lower = new Issuer('lower', new Issuer('unused'));
const zero = new Issuer('path length 0', root, { pathLength: 0 });
const below = new Issuer('below path length 0', zero);
const nameless = new Issuer('', root);
const belowNameless = new Issuer('below a nameless one', nameless);
const expired = new Issuer('expired intermediate', root, { notAfter: NOW - 1 });

const restricted = new Issuer('restricted', root, { more: [extension('2.5.29.30', true, sequence())] });
const oldHash = new Issuer('old hash', root, { hash: 'sha1' });

const BAD: readonly [check: string, title: string, fault: RegExp, bad: Case][] = [
  ['key', 'of another key', /another key/, { leaf: { publicKey: stranger } }],
  [
    'key',
    'of a key on no curve we know',
    /cannot be read/,
    { leaf: { spki: Buffer.from(spki(ek).toString('hex').replace('3d030107', '3d030177'), 'hex') } },
  ],
  [
    'key',
    'of an RSA key marked for OAEP',
    /another key/,
    { leaf: { spki: Buffer.from(spki(rsa).toString('hex').replace('0d010101', '0d010107'), 'hex') } },
  ],
  ['not-authority', 'of an authority', /CA certificate/, { leaf: { ca: true, usage: 0x26 } }],
  ['purpose', 'of a web server under the same root', /purpose/, { leaf: { purposes: ['1.3.6.1.5.5.7.3.1'] } }],
  ['key-usage', 'of a key for signatures', /receives no secrets/, { leaf: { purposes: [], usage: 0x80 } }],
  [
    'critical-extension',
    'with a restriction that nobody here knows',
    /CN=TPM has a critical extension .*: 1\.2\.3\.4/,
    { leaf: { more: [extension('1.2.3.4', true, sequence())] } },
  ],
  [
    'critical-extension',
    'below an authority that is restricted to names',
    /CN=restricted has a critical extension .*: 2\.5\.29\.30/,
    { issuer: restricted, intermediates: [restricted.certificate.raw] },
  ],
  ['signature-algorithm', 'signed with SHA-1', /CN=TPM is signed with another/, { leaf: { hash: 'sha1' } }],
  [
    'signature-algorithm',
    'below an authority that was signed with SHA-1',
    /CN=old hash is signed with another/,
    { issuer: oldHash, intermediates: [oldHash.certificate.raw] },
  ],
  ['validity', 'whose time is over', /CN=TPM is outside/, { leaf: { notAfter: NOW - 1000 } }],
  ['validity', 'whose time has not come', /CN=TPM is outside/, { leaf: { notBefore: NOW + 1000 } }],
  [
    'validity',
    'below an intermediate whose time is over',
    /CN=expired/,
    { issuer: expired, intermediates: [expired.certificate.raw] },
  ],
  [
    'path-length',
    'below an authority that its own may not have made',
    /CN=path length 0 may not/,
    { issuer: below, intermediates: [below.certificate.raw, zero.certificate.raw] },
  ],
  [
    'path-length',
    'below an authority whose limits cannot be read',
    /the EK certificate may not/,
    { issuer: belowNameless, intermediates: [belowNameless.certificate.raw, nameless.certificate.raw] },
  ],
  ['root', 'of somebody’s own authority', /no chain/, { issuer: other }],
  ['root', 'below an intermediate that did not come along', /no chain/, { issuer: middle }],
  [
    'root',
    'below an intermediate that no root signed',
    /no chain/,
    { issuer: lower, intermediates: [lower.certificate.raw] },
  ],
  ['root', 'whose authority it brings itself', /no chain/, { issuer: other, intermediates: [other.certificate.raw] }],
  ['root', 'while the operator trusts no root', /no chain/, { roots: [] }],
];

describe.each(BAD)('%s: a certificate %s', (check, _, fault, bad) => {
  test('is found, with this fault alone', () => {
    expect(judge(bad).faults).toEqual([expect.stringMatching(fault)]);
  });

  test('passes when the check is taken away', () => {
    expect(judge(bad, check).faults).toEqual([]);
  });
});

test('every check has its bad certificate', () => {
  expect(EK_CHECKS.map(({ name }) => name).filter((name) => !BAD.some(([check]) => check === name))).toEqual([]);
});

test('an intermediate that is no authority leads nowhere', () => {
  const fake = new Issuer('fake', root, { ca: false });
  expect(judge({ issuer: fake, intermediates: [fake.certificate.raw] }).faults).toEqual(['no chain to a trusted root']);
});

test('a ring of authorities ends', () => {
  const a = new Issuer('a');
  const b = new Issuer('b', a);
  const crossed = b.issue({ subject: 'a', publicKey: a.certificate.publicKey, ca: true, purposes: [], tpm: null });
  expect(judge({ issuer: a, intermediates: [crossed, b.certificate.raw, a.certificate.raw] }).faults).toEqual([
    'no chain to a trusted root',
  ]);
});

test('a way longer than five certificates is none', () => {
  const way = [root];
  for (let i = 0; i < 4; i++) way.push(new Issuer(`step ${i}`, way.at(-1)));
  const intermediates = way.slice(1).map(({ certificate }) => certificate.raw);
  expect(judge({ issuer: way[3] ?? root, intermediates }).faults).toEqual([]);
  expect(judge({ issuer: way[4] ?? root, intermediates }).faults).toEqual(['no chain to a trusted root']);
});

describe('hostile certificates', () => {
  test('with any bit changed never speak for the key, and never throw', () => {
    const der = middle.issue({ publicKey: ek });
    const trust = { roots: [root.certificate], intermediates: [middle.certificate.raw] };
    expect(checkEkCertificate(der, ek, trust, NOW).faults).toEqual([]);
    let good = 0;
    for (let bit = 0; bit < der.length * 8; bit++) {
      const changed = Buffer.from(der);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (checkEkCertificate(changed, ek, trust, NOW).faults.length === 0) good++;
    }
    expect(good).toBe(0);
  });

  test('as intermediates with any bit changed never help, and never throw', () => {
    const der = middle.issue({ publicKey: ek });
    const { raw } = middle.certificate;
    let good = 0;
    for (let bit = 0; bit < raw.length * 8; bit += 3) {
      const changed = Buffer.from(raw);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const trust = { roots: [root.certificate], intermediates: [changed] };
      if (checkEkCertificate(der, ek, trust, NOW).faults.length === 0) good++;
    }
    expect(good).toBe(0);
  });

  test.each([new Uint8Array(), Buffer.from('hello'), Buffer.from([0x30, 0x80]), root.certificate.raw.subarray(0, 100)])(
    'that are none at all are named so: %#',
    (der) => {
      const { faults } = checkEkCertificate(der, ek, { roots: [root.certificate], intermediates: [] }, NOW);
      expect(faults).toEqual(['the EK certificate is not X.509']);
    },
  );
});

describe('the TPM that a certificate names', () => {
  const san = (value: Asn1): CertificateFields['more'] => [extension('2.5.29.17', true, value)];

  test('is none where there is no such name', () => {
    expect(judge({ leaf: { tpm: null } }).tpm).toBeNull();
    expect(judge({ leaf: { tpm: null, more: san(sequence()) } }).tpm).toBeNull();
  });

  test('is none where the manufacturer is missing or empty', () => {
    const only = set(sequence(oid('2.23.133.2.2'), utf8('model')));
    expect(judge({ leaf: { tpm: null, more: san(sequence(context(4, sequence(only)))) } }).tpm).toBeNull();
  });

  test('is none where the name is broken', () => {
    const broken = sequence(oid('2.5.29.17'), octets(Buffer.from([0x30, 0x05])));
    expect(judge({ leaf: { tpm: null, more: [broken] } }).tpm).toBeNull();
  });

  test('may lack model and version', () => {
    const only = set(sequence(oid('2.23.133.2.1'), utf8('id:1')));
    const { tpm } = judge({ leaf: { tpm: null, more: san(sequence(context(4, sequence(only)))) } });
    expect(tpm).toEqual({ manufacturer: 'id:1', model: '', version: '' });
  });

  test('is cut to what may be shown', () => {
    const { tpm } = judge({ leaf: { tpm: ['a\u001b[2J\u0007', 'm'.repeat(200), ''] } });
    expect(tpm).toEqual({ manufacturer: 'a?[2J?', model: 'm'.repeat(64), version: '' });
  });
});

test('certificates are read from PEM, and broken blocks are counted', () => {
  const pem = root.certificate.toString();
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const read = certificatesOf(`text\n${pem}${broken}${pem}`);
  expect(read.certificates.map(({ subject }) => subject)).toEqual(['CN=vendor root', 'CN=vendor root']);
  expect(read.broken).toBe(1);
  expect(certificatesOf('nothing')).toEqual({ certificates: [], broken: 0 });
  expect(new X509Certificate(root.issue({ publicKey: ek })).keyUsage).toEqual([EK_PURPOSE]);
});
