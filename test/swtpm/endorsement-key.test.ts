// The endorsement key is chosen by its certificate, whatever the algorithm, and never by a certificate of another key.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { nvReadPublic, nvUndefine } from '../../src/tpm/commands/nv.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { findEndorsementKey } from '../../src/tpm/endorsement-key.ts';
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
