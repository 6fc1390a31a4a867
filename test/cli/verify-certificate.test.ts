// `touchstone verify --certificate-chain`: who signed is believed by the roots that the caller names, and each fault has its rule.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pae, signDsse } from '../../src/crypto/dsse.ts';
import { signEcdsa } from '../../src/crypto/ecdsa.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { ignoring, listModel } from '../../src/release/model-files.ts';
import { makeStatement } from '../../src/release/oms-sign.ts';
import { IN_TOTO_TYPE } from '../../src/release/oms-statement.ts';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';
import { certify, CODE_SIGNING, identity, SERVER, toPem } from '../support/certificates.ts';
import type { CertificateChoices } from '../support/certificates.ts';

const root = identity('root');
const middle = identity('middle');
const signer = identity('signer', 'p384');

let scratch: Scratch;

beforeEach(async () => {
  scratch = await Scratch.make();
  await scratch.write({ 'model/weights.bin': 'weights', 'root.pem': toPem(certify(root, root, { ca: true })) });
});

afterEach(async () => scratch[Symbol.asyncDispose]());

/** Signs the model as the reference tool does with a certificate; `by` makes the signature. */
async function sign(choices: CertificateChoices, by = signer): Promise<void> {
  await using pool = new HashPool();
  const listed = await listModel(scratch.path('model'), ignoring(['model.sig']));
  const { statement } = await makeStatement(listed, { method: 'files', ignored: ['model.sig'], pool });
  const chain = [
    certify(signer, middle, { purposes: [CODE_SIGNING], ...choices }),
    certify(middle, root, { ca: true }),
  ];
  const { payload, payloadType } = signDsse(IN_TOTO_TYPE, statement.payload, [by.keys.privateKey]);
  const sig = signEcdsa(by.keys.privateKey, pae(IN_TOTO_TYPE, statement.payload)).toString('base64');
  await scratch.write({
    'model/model.sig': JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: {
        x509CertificateChain: { certificates: chain.map((der) => ({ rawBytes: der.toString('base64') })) },
        tlogEntries: [],
      },
      dsseEnvelope: { payload, payloadType, signatures: [{ sig, keyid: '' }] },
    }),
  });
}

async function judge(...roots: string[]): Promise<{ code: number | null; rules: string[] }> {
  const { code, document } = await quicklyJson(['verify', scratch.path('model'), '--certificate-chain', ...roots]);
  const { findings } = document as { findings: { rule: string }[] };
  return { code, rules: findings.map(({ rule }) => rule) };
}

describe('a model signed with a certificate', () => {
  test('is as signed, and shows who vouched for whom', async () => {
    await sign({});
    const { code, stdout } = await quickly([
      'verify',
      scratch.path('model'),
      '--certificate-chain',
      scratch.path('root.pem'),
    ]);
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(1, 4)).toEqual([
      expect.stringMatching(/^ {2}signed by CN=signer, certificate [0-9a-f]{64}$/),
      '  vouched for by CN=middle',
      '  vouched for by CN=root',
    ]);
  });

  test.each<[string, string, CertificateChoices]>([
    ['release-certificate-validity', 'whose time is over', { notAfter: Date.UTC(2020, 0) }],
    ['release-certificate-purpose', 'of a web server', { purposes: [SERVER] }],
    ['release-certificate-chain', 'with a critical restriction', { critical: '1.2.3.4' }],
  ])('is refused by %s: one %s', async (rule, _title, choices) => {
    await sign(choices);
    expect(await judge(scratch.path('root.pem'))).toEqual({ code: 1, rules: [rule] });
  });

  test('is refused when the root is another, and by nothing that the operating system trusts', async () => {
    await sign({});
    const other = identity('root');
    await scratch.write({ 'other.pem': toPem(certify(other, other, { ca: true })) });
    expect(await judge(scratch.path('other.pem'))).toEqual({ code: 1, rules: ['release-certificate-chain'] });
  });

  test('is refused when another key made the signature', async () => {
    await sign({}, identity('thief', 'p384'));
    expect(await judge(scratch.path('root.pem'))).toEqual({ code: 1, rules: ['release-signature'] });
  });

  test('is refused when a byte changed', async () => {
    await sign({});
    await scratch.write({ 'model/weights.bin': 'weighty' });
    expect(await judge(scratch.path('root.pem'))).toEqual({ code: 1, rules: ['release-file-changed'] });
  });
});

test('a file of certificates that cannot be read is named', async () => {
  await sign({});
  await scratch.write({ 'broken.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' });
  for (const file of ['broken.pem', 'model/weights.bin', 'nowhere.pem']) {
    const { code, stderr } = await quickly([
      'verify',
      scratch.path('model'),
      '--certificate-chain',
      scratch.path(file),
    ]);
    expect(code).toBe(3);
    expect(stderr).toContain(file);
  }
});
