// Chains of certificates: each check taken away lets the one chain in that it stops, and nothing else is a way to a root.
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHAIN_CHECKS } from '../../src/crypto/chain-checks.ts';
import type { ChainFault } from '../../src/crypto/chain-checks.ts';
import { checkSigningChain } from '../../src/crypto/signing-chain.ts';
import type { SigningChain } from '../../src/crypto/signing-chain.ts';
import { CERT_SIGN, certify, CODE_SIGNING, DIGITAL_SIGNATURE, identity, SERVER } from '../support/certificates.ts';
import type { CertificateChoices } from '../support/certificates.ts';

const NOW = Date.UTC(2026, 5, 1);
const root = identity('root');
const middle = identity('middle');
const signer = identity('signer');

interface Chain {
  readonly leaf?: CertificateChoices;
  readonly middle?: CertificateChoices;
  readonly root?: CertificateChoices;
  /** A second authority below the first. */
  readonly lower?: CertificateChoices;
}

function judge(chain: Chain, without?: string): SigningChain {
  const lower = identity('lower');
  const sent = chain.lower === undefined ? [] : [certify(lower, middle, { ca: true, ...chain.lower })];
  const leaf = certify(signer, chain.lower === undefined ? middle : lower, {
    purposes: [CODE_SIGNING],
    ...chain.leaf,
  });
  const anchor = new X509Certificate(certify(root, root, { ca: true, ...chain.root }));
  return checkSigningChain(
    [leaf, ...sent, certify(middle, root, { ca: true, ...chain.middle })],
    [anchor],
    NOW,
    CHAIN_CHECKS.filter((check) => check.name !== without),
  );
}

const BAD: readonly [check: string, title: string, kind: ChainFault['kind'], chain: Chain][] = [
  ['validity', 'a signer whose time is over', 'validity', { leaf: { notAfter: NOW - 1000 } }],
  ['validity', 'a signer whose time has not come', 'validity', { leaf: { notBefore: NOW + 1000 } }],
  ['validity', 'an authority whose time is over', 'validity', { middle: { notAfter: NOW - 1000 } }],
  ['validity', 'a root whose time is over', 'validity', { root: { notAfter: NOW - 1000 } }],
  ['critical-extension', 'a signer with a critical restriction', 'chain', { leaf: { critical: '1.2.3.4' } }],
  ['critical-extension', 'an authority with one', 'chain', { middle: { critical: '1.2.3.4' } }],
  ['path-length', 'an authority below one that may have none', 'chain', { lower: {}, middle: { pathLength: 0 } }],
  ['path-length', 'an authority too far below the root', 'chain', { lower: {}, root: { pathLength: 1 } }],
  ['signature-algorithm', 'a signer vouched for with SHA-1', 'chain', { leaf: { hash: 'sha1' } }],
  ['signature-algorithm', 'an authority vouched for with SHA-1', 'chain', { middle: { hash: 'sha1' } }],
  ['may-sign', 'a key for other use', 'purpose', { leaf: { keyUsage: 0x20 } }],
  [
    'may-sign',
    'a certificate without any purpose',
    'purpose',
    { leaf: { keyUsage: null, purposes: undefined as never } },
  ],
  ['code-signing', 'the certificate of a web server', 'purpose', { leaf: { purposes: [SERVER] } }],
];

describe('a chain is refused', () => {
  test.each(BAD)('by the check %s: %s', (check, _title, kind, chain) => {
    expect(judge(chain).faults.map((fault) => fault.kind)).toEqual([kind]);
    // Only this check stops it.
    expect(judge(chain, check).faults).toEqual([]);
  });

  test('when an authority may not sign certificates by its key usage', () => {
    const faults = judge({ middle: { keyUsage: DIGITAL_SIGNATURE } }).faults.map((fault) => fault.kind);
    expect(faults).toEqual(['chain']);
  });

  test('when an authority is none by its basic constraints', () => {
    expect(judge({ middle: { ca: false, keyUsage: CERT_SIGN } }).faults.map((fault) => fault.kind)).toEqual(['chain']);
  });

  test.each([
    ['another root', () => [certify(identity('root'), identity('root'), { ca: true })]],
    [
      'a root of the same name and another key',
      () => {
        const other = identity('root');
        return [certify(other, other, { ca: true })];
      },
    ],
    ['no root, only its authority', () => [certify(middle, root, { ca: true })]],
    ['nothing', () => []],
  ])('with %s given', (_title, given) => {
    const leaf = certify(signer, middle, { purposes: [CODE_SIGNING] });
    const chain = [leaf, certify(middle, root, { ca: true })];
    const judged = checkSigningChain(
      chain,
      given().map((der) => new X509Certificate(der)),
      NOW,
    );
    expect(judged.faults.map((fault) => fault.kind)).toEqual(['chain']);
  });

  test('when a root comes with the signature instead of from the caller', () => {
    const stranger = identity('stranger');
    const leaf = certify(signer, stranger, { purposes: [CODE_SIGNING] });
    const own = new X509Certificate(certify(root, root, { ca: true }));
    const judged = checkSigningChain([leaf, certify(stranger, stranger, { ca: true })], [own], NOW);
    expect(judged.faults.map((fault) => fault.kind)).toEqual(['chain']);
  });

  test('for a key that is not ECDSA on our curves', () => {
    const rsa = { name: 'rsa', keys: generateKeyPairSync('rsa', { modulusLength: 2048 }) };
    const judged = checkSigningChain(
      [certify(rsa, root, { purposes: [CODE_SIGNING] })],
      [new X509Certificate(certify(root, root, { ca: true }))],
      NOW,
    );
    expect(judged).toMatchObject({ key: null, faults: [{ kind: 'purpose', found: 'a key of kind rsa' }] });
  });
});

describe('a chain is taken', () => {
  test('whose root signed itself with SHA-1: nothing rests on that signature', () => {
    expect(judge({ root: { hash: 'sha1' } }).faults).toEqual([]);
  });

  test('over one authority, two, or none, and shows the way', () => {
    expect(judge({})).toMatchObject({
      faults: [],
      path: [{ subject: 'CN=signer' }, { subject: 'CN=middle' }, { subject: 'CN=root' }],
    });
    expect(judge({ lower: {} }).path).toHaveLength(4);
    const direct = checkSigningChain(
      [certify(signer, root, { purposes: [CODE_SIGNING] })],
      [new X509Certificate(certify(root, root, { ca: true }))],
      NOW,
    );
    expect(direct.faults).toEqual([]);
  });

  test('with its authority given by the caller instead of sent', () => {
    const given = [certify(middle, root, { ca: true }), certify(root, root, { ca: true })];
    const leaf = certify(signer, middle, { purposes: [CODE_SIGNING] });
    expect(
      checkSigningChain(
        [leaf],
        given.map((der) => new X509Certificate(der)),
        NOW,
      ).faults,
    ).toEqual([]);
  });

  test('when names repeat along it, as in the reference tool’s own fixtures', () => {
    const authority = identity('same');
    const leaf = certify({ ...signer, name: 'same' }, authority, {
      ca: true,
      keyUsage: DIGITAL_SIGNATURE,
      purposes: [CODE_SIGNING],
    });
    const given = [certify(root, root, { ca: true })].map((der) => new X509Certificate(der));
    expect(checkSigningChain([leaf, certify(authority, root, { ca: true })], given, NOW).faults).toEqual([]);
  });

  test('over the good one of two ways', () => {
    const leaf = certify(signer, middle, { purposes: [CODE_SIGNING] });
    const old = certify(middle, root, { ca: true, notAfter: NOW - 1000 });
    const renewed = certify(middle, root, { ca: true });
    const given = [certify(root, root, { ca: true })].map((der) => new X509Certificate(der));
    expect(checkSigningChain([leaf, old, renewed], given, NOW).faults).toEqual([]);
  });
});

test('certificates that vouch for each other in a ring lead nowhere', () => {
  const [one, two] = [identity('one'), identity('two')];
  const leaf = certify(signer, one, { purposes: [CODE_SIGNING] });
  const ring = [0, 1, 2].flatMap(() => [certify(one, two, { ca: true }), certify(two, one, { ca: true })]);
  const given = [certify(root, root, { ca: true })].map((der) => new X509Certificate(der));
  expect(checkSigningChain([leaf, ...ring], given, NOW).faults.map((fault) => fault.kind)).toEqual(['chain']);
});

test('bytes of anybody are judged and never thrown at', () => {
  const anchor = new X509Certificate(certify(root, root, { ca: true }));
  const good = certify(signer, root, { purposes: [CODE_SIGNING] });
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }),
      fc.nat(good.length - 1),
      fc.nat(255),
      (junk, at, value) => {
        const bent = Buffer.from(good);
        const before = bent[at];
        bent[at] = value;
        expect(checkSigningChain(junk, [anchor], NOW).faults.length).toBeGreaterThan(0);
        const { faults } = checkSigningChain([bent, ...junk], [anchor], NOW);
        expect(faults.length === 0).toBe(before === value);
      },
    ),
    { numRuns: 300 },
  );
});
