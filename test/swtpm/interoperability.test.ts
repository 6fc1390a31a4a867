// What this product and tpm2-tools make, the other takes: quotes, credentials, keys, policies.
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode } from '../../src/bytes/wire.ts';
import { AK_HANDLE } from '../../src/tpm/attestation-key.ts';
import { evictControl, readPublic } from '../../src/tpm/commands/objects.ts';
import { openDeviceTpm, type DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import { objectName } from '../../src/tpm/wire/names.ts';
import { Tpm2bPublic, TpmtPublic } from '../../src/tpm/wire/public.ts';
import { publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { signingKeyPublic } from '../../src/tpm/wire/signing-key.ts';
import { EK_TEMPLATES, SRK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { generateKey, publicPem } from '../../src/crypto/ecdsa.ts';
import { placeCertificate } from '../support/ek-certificates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { at, openQueue, tpm2, withPrimary } from '../support/tpm-bench.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const handleText = (handle: number): string => `0x${handle.toString(16)}`;

let software: SoftwareTpm;
beforeAll(async () => {
  software = await startSoftwareTpm();
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});

async function withDevice<T>(tpm: SoftwareTpm, work: (device: DeviceTpm) => Promise<T>): Promise<T> {
  await using device = await openDeviceTpm({ transport: await openSocketTransport({ path: tpm.socketPath }) });
  return await work(device);
}

describe('our quote is', () => {
  const nonce = randomBytes(32);
  beforeAll(async () => {
    const { quote, identity } = await withDevice(software, async (device) => {
      await device.extendPcr(14, randomBytes(32));
      return {
        quote: await device.quote(nonce, { bank: 'sha256', pcrs: [0, 7, 14] }),
        identity: await device.identity(),
      };
    });
    await writeFile(at(software, 'q.msg'), quote.attest);
    await writeFile(at(software, 'q.sig'), quote.signature);
    const key = publicKeyOf(decode(TpmtPublic, identity.akPublic));
    await writeFile(at(software, 'ak.pem'), key.export({ type: 'spki', format: 'pem' }));
    await tpm2(software, 'pcrread', '-o', 'pcrs', '-F', 'serialized', 'sha256:0,7,14');
  });
  const check = async (qualifying: Buffer): Promise<string> =>
    tpm2(software, 'checkquote', '-u', 'ak.pem', '-m', 'q.msg', '-s', 'q.sig', '-f', 'pcrs', '-q', hex(qualifying));

  test('accepted by tpm2_checkquote, with the PCR values that tpm2_pcrread gives', async () => {
    expect(await check(nonce)).toContain('sig:');
  });

  test('refused by it for another nonce, and after the PCRs went on', async () => {
    await expect(check(randomBytes(32))).rejects.toThrow(/checkquote/);
    await tpm2(software, 'pcrextend', `14:sha256=${hex(randomBytes(32))}`);
    await tpm2(software, 'pcrread', '-o', 'pcrs', '-F', 'serialized', 'sha256:0,7,14');
    await expect(check(nonce)).rejects.toThrow(/checkquote/);
  });
});

test('keys have the Names that tpm2-tools give them', async () => {
  const ak = await withDevice(software, async (device) => (await device.identity()).akName);
  expect(await tpm2(software, 'readpublic', '-c', handleText(AK_HANDLE))).toContain(hex(ak));
  const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda';
  await tpm2(software, 'createprimary', '-C', 'e', '-G', 'ecc256:ecdsa-sha256:null', '-a', attributes, '-c', 'p.ctx');
  await tpm2(software, 'readpublic', '-c', 'p.ctx', '-n', 'p.name');
  expect(await readFile(at(software, 'p.name'))).toEqual(ak);
  await tpm2(software, 'flushcontext', '-t');

  const srkAttributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt';
  await tpm2(software, 'createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-a', srkAttributes, '-c', 's.ctx');
  await tpm2(software, 'readpublic', '-c', 's.ctx', '-n', 's.name');
  await tpm2(software, 'flushcontext', '-t');
  await using queue = await openQueue(software);
  const srk = await withPrimary(queue, SRK_TEMPLATE, async ({ name }) => Promise.resolve(name), TPM_RH.OWNER);
  expect(await readFile(at(software, 's.name'))).toEqual(srk);
});

test('a key that approves policies has the Name that tpm2_loadexternal gives to its PEM file', async () => {
  const { publicKey } = generateKey('p256');
  await writeFile(at(software, 'approver.pem'), publicPem(publicKey));
  await tpm2(software, 'loadexternal', '-C', 'o', '-G', 'ecc', '-u', 'approver.pem', '-c', 'a.ctx', '-n', 'a.name');
  await tpm2(software, 'flushcontext', '-t');
  expect(await readFile(at(software, 'a.name'))).toEqual(objectName(signingKeyPublic(publicKey)));
});

/** The EK of the template, as a TPM that has only this certificate shows it, and its TSS form in `ek.pub`. */
describe.each(['L-1', 'L-2', 'H-3'] as const)('with the EK of template %s', (id) => {
  const template = EK_TEMPLATES.find((known) => known.id === id);
  const EK_HANDLE = '0x81010abc';
  let tpm: SoftwareTpm;
  beforeAll(async () => {
    if (template === undefined) throw new TypeError('no such template');
    tpm = await startSoftwareTpm({ ekCertificates: false });
    await using queue = await openQueue(tpm);
    await placeCertificate(queue, template);
  });
  afterAll(async () => {
    await tpm[Symbol.asyncDispose]();
  });

  test('tpm2_activatecredential opens our credential', async () => {
    const value = randomBytes(32);
    const { ekPublic, akName } = await withDevice(tpm, async (device) => device.identity());
    const made = makeCredential(decode(TpmtPublic, ekPublic), akName, value);
    const head = Buffer.from('badcc0de00000001', 'hex');
    await writeFile(at(tpm, 'ours.cred'), Buffer.concat([head, made.credentialBlob, made.secret]));
    await using queue = await openQueue(tpm);
    if (template === undefined) throw new TypeError('no such template');
    await withPrimary(
      queue,
      template.template,
      async (key) => evictControl(queue, key, Number(EK_HANDLE)),
      TPM_RH.ENDORSEMENT,
    );
    expect((await readPublic(queue, Number(EK_HANDLE))).name).toEqual(objectName(decode(TpmtPublic, ekPublic)));
    await queue[Symbol.asyncDispose]();
    const args = ['-c', handleText(AK_HANDLE), '-C', EK_HANDLE, '-i', 'ours.cred', '-o', 'opened'];
    if (template.auth === 'policy-a') {
      await tpm2(tpm, 'startauthsession', '--policy-session', '-S', 'p.session');
      await tpm2(tpm, 'policysecret', '-S', 'p.session', '-c', 'e');
      await tpm2(tpm, 'activatecredential', ...args, '-P', 'session:p.session');
      await tpm2(tpm, 'flushcontext', 'p.session');
    } else {
      await tpm2(tpm, 'activatecredential', ...args);
    }
    expect(await readFile(at(tpm, 'opened'))).toEqual(value);
  });

  test('we open the credential of tpm2_makecredential', async () => {
    const value = randomBytes(32);
    const { ekPublic, akName } = await withDevice(tpm, async (device) => device.identity());
    await writeFile(at(tpm, 'ek.pub'), encode(Tpm2bPublic, decode(TpmtPublic, ekPublic)));
    await writeFile(at(tpm, 'secret'), value);
    const args = ['-T', 'none', '-u', 'ek.pub', '-s', 'secret', '-n', hex(akName), '-o', 'theirs.cred'];
    await tpm2(tpm, 'makecredential', ...args);
    const blob = (await readFile(at(tpm, 'theirs.cred'))).subarray(8);
    const split = 2 + blob.readUInt16BE(0);
    const opened = await withDevice(tpm, async (device) =>
      device.activateCredential(blob.subarray(0, split), blob.subarray(split)),
    );
    expect(opened).toEqual(value);
  });
});
