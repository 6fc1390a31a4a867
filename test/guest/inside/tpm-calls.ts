// Runs in the guest: the Tpm port on the kernel's /dev/tpmrm0, call by call; one line of JSON for each.
import { createHash, randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';
import { decode } from '../../../src/bytes/wire.ts';
import { openDeviceTpm } from '../../../src/tpm/device-tpm.ts';
import { makeCredential } from '../../../src/tpm/make-credential.ts';
import { openTctiTransport } from '../../../src/tpm/transport/tcti.ts';
import { TpmsAttest } from '../../../src/tpm/wire/attest.ts';
import { publicKeyOf, verifyTpmSignature } from '../../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../../src/tpm/wire/signature.ts';
import { AK_ATTRIBUTES } from '../../../src/tpm/wire/templates.ts';

const PCR = 14;

async function attempt(name: string, work: () => Promise<void>): Promise<void> {
  let failure: string | null = null;
  const started = performance.now();
  try {
    await work();
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  process.stdout.write(`${JSON.stringify({ name, failure, ms: Math.round(performance.now() - started) })}\n`);
}

const transport = await openTctiTransport('device:/dev/tpmrm0');
const { raw } = transport;
await using tpm = await openDeviceTpm({ transport });
const selection = { bank: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, PCR] } as const;

await attempt('is behind a resource manager', () => {
  assert.equal(raw, false);
  return Promise.resolve();
});

await attempt('has an EK with a certificate and an AK of the design', async () => {
  const identity = await tpm.identity();
  assert.ok(identity.ekCertificate !== undefined);
  assert.equal(decode(TpmtPublic, identity.akPublic).attributes, AK_ATTRIBUTES);
});

await attempt('extends and reads a PCR', async () => {
  const [before = Buffer.alloc(0)] = await tpm.readPcrs({ bank: 'sha256', pcrs: [PCR] });
  const digest = randomBytes(32);
  await tpm.extendPcr(PCR, digest);
  const [after] = await tpm.readPcrs({ bank: 'sha256', pcrs: [PCR] });
  assert.deepEqual(after, createHash('sha256').update(before).update(digest).digest());
});

await attempt('quotes boot PCRs that the firmware extended', async () => {
  const identity = await tpm.identity();
  const asked = randomBytes(32);
  const { attest, signature } = await tpm.quote(asked, selection);
  const told = decode(TpmsAttest, attest);
  assert.deepEqual(told.extraData, asked);
  const values = await tpm.readPcrs(selection);
  assert.ok(values.slice(0, 8).every((value) => !value.equals(Buffer.alloc(32))));
  const pcrDigest = createHash('sha256').update(Buffer.concat(values)).digest();
  assert.ok(told.attested.type === 'quote' && told.attested.quote.pcrDigest.equals(pcrDigest));
  const key = publicKeyOf(decode(TpmtPublic, identity.akPublic));
  assert.ok(verifyTpmSignature(key, attest, decode(TpmtSignature, signature)));
});

await attempt('opens a credential made for its EK and AK', async () => {
  const identity = await tpm.identity();
  const secret = randomBytes(32);
  const made = makeCredential(decode(TpmtPublic, identity.ekPublic), identity.akName, secret);
  assert.deepEqual(await tpm.activateCredential(made.credentialBlob, made.secret), secret);
});

await attempt('gives random bytes through an encrypted session', async () => {
  assert.equal((await tpm.random(32)).length, 32);
});

await attempt('quotes twenty times in a row', async () => {
  for (let index = 0; index < 20; index += 1) await tpm.quote(randomBytes(32), selection);
});
