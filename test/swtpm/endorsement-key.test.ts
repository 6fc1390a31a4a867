// The endorsement key is chosen by its certificate, whatever the algorithm, and never by a certificate of another key.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { nvReadPublic, nvUndefine } from '../../src/tpm/commands/nv.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { findEndorsementKey, readCertificateChain } from '../../src/tpm/endorsement-key.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { EK_TEMPLATES, type EkTemplate } from '../../src/tpm/wire/templates.ts';
import { likeCertificate, placeBytes, placeCertificate } from '../support/ek-certificates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { at, loadedHandles, openQueue } from '../support/tpm-bench.ts';

const run = promisify(execFile);

function template(id: EkTemplate['id']): EkTemplate {
  const found = EK_TEMPLATES.find((known) => known.id === id);
  if (found === undefined) throw new TypeError(`no template ${id}`);
  return found;
}

let certified: SoftwareTpm;
let plain: SoftwareTpm;
beforeAll(async () => {
  [certified, plain] = await Promise.all([startSoftwareTpm(), startSoftwareTpm({ ekCertificates: false })]);
});
afterAll(async () => {
  await certified[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
});
afterEach(async () => {
  await using queue = await openQueue(plain);
  for (const { certificateIndex } of EK_TEMPLATES) {
    const index = await nvReadPublic(queue, certificateIndex).catch(() => null);
    if (index !== null) await nvUndefine(queue, index);
  }
});

test('of a TPM as its maker delivers it, it is the one of the maker’s certificate, whose chain openssl verifies', async () => {
  await using queue = await openQueue(certified);
  const ek = await findEndorsementKey(queue);
  // swtpm has certificates for RSA-2048 and P-384, and the RSA one is the earlier in our order.
  expect(ek.template.id).toBe('L-1');
  expect(ek.place).toEqual({ persistent: 0x81010001 });
  await writeFile(at(certified, 'ek.der'), ek.certificate ?? '');
  await run('openssl', ['x509', '-inform', 'der', '-in', 'ek.der', '-out', 'ek.pem'], { cwd: certified.dir });
  const { rootCertificate, issuerCertificate } = certified;
  const args = ['verify', '-CAfile', rootCertificate, '-untrusted', issuerCertificate, 'ek.pem'];
  expect((await run('openssl', args, { cwd: certified.dir })).stdout).toContain('ek.pem: OK');
});

describe('the chain that a maker leaves in NV', () => {
  const chainIndex = (n: number): number => 0x01c00100 + n;
  const place = async (...contents: Buffer[]): Promise<Buffer[]> => {
    await using queue = await openQueue(certified);
    for (const [n, one] of contents.entries()) await placeBytes(queue, chainIndex(n), one);
    return await readCertificateChain(queue);
  };
  const certificate = (length: number): Buffer => likeCertificate(randomBytes(length));
  afterEach(async () => {
    await using queue = await openQueue(certified);
    for (let n = 0; n < 4; n++) {
      const index = await nvReadPublic(queue, chainIndex(n)).catch(() => null);
      if (index !== null) await nvUndefine(queue, index);
    }
  });

  test('is none where the maker left none', async () => {
    expect(await place()).toEqual([]);
  });

  test('is read over several indices, one beginning in the middle of an index', async () => {
    const [a, b, c] = [certificate(900), certificate(700), certificate(300)];
    const all = Buffer.concat([a, b, c, Buffer.alloc(30, 0xff)]);
    const read = await place(all.subarray(0, 1000), all.subarray(1000));
    expect(read).toEqual([a, b, c]);
  });

  test('is at most four certificates, and nothing of what is none', async () => {
    const five = Array.from({ length: 5 }, () => certificate(60));
    expect(await place(Buffer.concat(five))).toEqual(five.slice(0, 4));
  });

  test('is none where something else lies there', async () => {
    expect(await place(randomBytes(40).fill(1, 0, 2))).toEqual([]);
  });

  test('comes with the identity, to be sent along when the device enrols', async () => {
    const one = certificate(500);
    await place(one);
    await using tpm = await openDeviceTpm({ transport: await openSocketTransport({ path: certified.socketPath }) });
    expect((await tpm.identity()).ekChain).toEqual([one]);
  });
});

describe.each(EK_TEMPLATES)('when only the certificate of template $id is there', (only) => {
  test('the key is of that template, and opens a credential', async () => {
    const queue = await openQueue(plain);
    const certificate = await placeCertificate(queue, only, 20);
    const ek = await findEndorsementKey(queue);
    expect({ id: ek.template.id, certificate: ek.certificate }).toEqual({ id: only.id, certificate });
    expect(await loadedHandles(queue)).toEqual([]);
    await queue[Symbol.asyncDispose]();

    await using device = await openDeviceTpm({ transport: await openSocketTransport({ path: plain.socketPath }) });
    const identity = await device.identity();
    expect(identity.ekCertificate).toEqual(certificate);
    const value = randomBytes(32);
    const made = makeCredential(decode(TpmtPublic, identity.ekPublic), identity.akName, value);
    expect(await device.activateCredential(made.credentialBlob, made.secret)).toEqual(value);
    expect(await loadedHandles(device.queue)).toEqual([]);
  });
});

test('without any certificate it is the first that the TPM can make, and has none', async () => {
  await using queue = await openQueue(plain);
  const ek = await findEndorsementKey(queue);
  expect(ek.template.id).toBe('L-2');
  expect(ek.certificate).toBeUndefined();
});

test('a certificate of another key is passed over for the next that belongs', async () => {
  await using queue = await openQueue(plain);
  await placeBytes(queue, template('L-2').certificateIndex, likeCertificate(randomBytes(64)));
  const certificate = await placeCertificate(queue, template('H-2'));
  const ek = await findEndorsementKey(queue);
  expect({ id: ek.template.id, certificate: ek.certificate }).toEqual({ id: 'H-2', certificate });
});

test('a certificate that is empty belongs to no key', async () => {
  await using queue = await openQueue(plain);
  await placeBytes(queue, template('L-2').certificateIndex, likeCertificate(Buffer.alloc(0)));
  expect((await findEndorsementKey(queue)).certificate).toBeUndefined();
});
