// NV indices on a real software TPM: ordinary, counter, extend, certified, and who may do what with them.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { nvCertify } from '../../src/tpm/commands/attest.ts';
import {
  nvDefine,
  nvExtend,
  nvIncrement,
  nvRead,
  nvReadPublic,
  nvUndefine,
  nvWrite,
  type NvIndex,
} from '../../src/tpm/commands/nv.ts';
import type { CommandQueue } from '../../src/tpm/queue.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_ALG, TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import { nvName } from '../../src/tpm/wire/names.ts';
import { publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { closeUnleaked, openQueue, withPrimary } from '../support/tpm-bench.ts';

const INDEX = 0x01800077;
const READABLE = TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA;
const OWNER = { authHandle: TPM_RH.OWNER };

let software: SoftwareTpm;
let tpm: CommandQueue;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tpm = await openQueue(software);
});
afterEach(async () => {
  const left = await nvReadPublic(tpm, INDEX).catch(() => null);
  if (left !== null) await nvUndefine(tpm, left);
  await closeUnleaked(tpm);
});

async function define(
  attributes: number,
  dataSize: number,
  options: { indexAuth?: Buffer; authPolicy?: Buffer } = {},
): Promise<NvIndex> {
  const { indexAuth, authPolicy = Buffer.alloc(0) } = options;
  const publicArea = { nvIndex: INDEX, nameAlg: TPM_ALG.SHA256, attributes, authPolicy, dataSize };
  await nvDefine(tpm, publicArea, indexAuth === undefined ? {} : { indexAuth });
  return { handle: INDEX, publicArea, name: nvName(publicArea) };
}

test('an ordinary index keeps what was written, in as many reads as it takes; being written changes its Name', async () => {
  const before = await define(READABLE | TPMA_NV.ownerWrite, 1500);
  expect((await nvReadPublic(tpm, INDEX)).name).toEqual(before.name);
  await expect(nvRead(tpm, before)).rejects.toMatchObject({ rcName: 'TPM_RC_NV_UNINITIALIZED' });
  const data = randomBytes(1500);
  for (let offset = 0; offset < 1500; offset += 500) {
    await nvWrite(tpm, INDEX, data.subarray(offset, offset + 500), { ...OWNER, offset });
  }
  const after = await nvReadPublic(tpm, INDEX);
  expect(after.name).toEqual(
    nvName({ ...before.publicArea, attributes: before.publicArea.attributes | TPMA_NV.written }),
  );
  expect(await nvRead(tpm, after)).toEqual(data);
  expect(await nvRead(tpm, after, { authHandle: after })).toEqual(data);
  await expect(nvWrite(tpm, INDEX, data.subarray(0, 2), { ...OWNER, offset: 1499 })).rejects.toMatchObject({
    rcName: 'TPM_RC_NV_RANGE',
  });
});

test('a value read through a session authenticates, by the Name of an index that was written', async () => {
  const before = await define(READABLE | TPMA_NV.ownerWrite, 8);
  await nvWrite(tpm, INDEX, Buffer.alloc(8, 7), OWNER);
  const index = await nvReadPublic(tpm, INDEX);
  await withPrimary(tpm, AK_TEMPLATE, async () => {
    await using session = await startSession(tpm);
    const auth = (): ReturnType<typeof session.use> => session.use();
    expect(await nvRead(tpm, index, { authHandle: TPM_RH.OWNER, auth })).toEqual(Buffer.alloc(8, 7));
    // The Name as it was before the write no longer authorises.
    await expect(nvRead(tpm, before, { authHandle: TPM_RH.OWNER, auth })).rejects.toMatchObject({
      rcName: expect.stringMatching(/TPM_RC_(?:AUTH_FAIL|BAD_AUTH)/) as unknown,
    });
  });
});

test('an index with an auth value of its own is read by no other', async () => {
  const indexAuth = randomBytes(16);
  await define(TPMA_NV.authRead | TPMA_NV.authWrite | TPMA_NV.noDA, 8, { indexAuth });
  await using session = await startSession(tpm);
  const name = (await nvReadPublic(tpm, INDEX)).name;
  const entity = { handle: INDEX, name };
  await nvWrite(tpm, entity, Buffer.alloc(8, 1), { authHandle: entity, auth: session.use({ auth: indexAuth }) });
  const index = await nvReadPublic(tpm, INDEX);
  expect(await nvRead(tpm, index, { authHandle: index, auth: () => session.use({ auth: indexAuth }) })).toEqual(
    Buffer.alloc(8, 1),
  );
  await expect(nvRead(tpm, index, { authHandle: index })).rejects.toMatchObject({ rcName: 'TPM_RC_BAD_AUTH' });
  await expect(nvRead(tpm, index)).rejects.toMatchObject({ rcName: 'TPM_RC_NV_AUTHORIZATION' });
});

test('a counter only rises, is not written, and goes on above its height after it was deleted', async () => {
  const attributes = READABLE | TPMA_NV.ownerWrite | TPMA_NV.counter;
  const value = async (): Promise<bigint> => (await nvRead(tpm, await nvReadPublic(tpm, INDEX))).readBigUInt64BE();
  await define(attributes, 8);
  for (let time = 0; time < 3; time += 1) await nvIncrement(tpm, INDEX, OWNER);
  const height = await value();
  await expect(nvWrite(tpm, INDEX, Buffer.alloc(8), OWNER)).rejects.toMatchObject({ rcName: 'TPM_RC_ATTRIBUTES' });
  await nvUndefine(tpm, await nvReadPublic(tpm, INDEX));
  await define(attributes, 8);
  await nvIncrement(tpm, INDEX, OWNER);
  expect(await value()).toBeGreaterThan(height);
});

test('an extend index is a PCR: it takes data of any length and is never written', async () => {
  await define(READABLE | TPMA_NV.ownerWrite | TPMA_NV.extend, 32);
  await nvExtend(tpm, INDEX, Buffer.from('one'), OWNER);
  await nvExtend(tpm, INDEX, Buffer.from('and more'), OWNER);
  const expected = sha256(sha256(Buffer.alloc(32), Buffer.from('one')), Buffer.from('and more'));
  expect(await nvRead(tpm, await nvReadPublic(tpm, INDEX))).toEqual(expected);
  await expect(nvWrite(tpm, INDEX, Buffer.alloc(32), OWNER)).rejects.toMatchObject({ rcName: 'TPM_RC_ATTRIBUTES' });
});

test('contents are certified by a key, with Name, offset and the asked bytes', async () => {
  await define(READABLE | TPMA_NV.ownerWrite, 16);
  const data = randomBytes(16);
  await nvWrite(tpm, INDEX, data, OWNER);
  const index = await nvReadPublic(tpm, INDEX);
  await withPrimary(tpm, AK_TEMPLATE, async (ak) => {
    const nonce = randomBytes(32);
    const { attest, signature } = await nvCertify(tpm, ak, index, index, nonce, { size: 8, offset: 4 });
    const told = decode(TpmsAttest, attest);
    expect(told.extraData).toEqual(nonce);
    expect(told.attested).toEqual({
      type: 'nv',
      nv: { indexName: index.name, offset: 4, nvContents: data.subarray(4, 12) },
    });
    expect(verifyTpmSignature(publicKeyOf(ak.publicArea), attest, decode(TpmtSignature, signature))).toBe(true);
  });
});

test('an index that only a policy writes is written by neither owner nor password', async () => {
  const index = await define(READABLE | TPMA_NV.policyWrite, 8, { authPolicy: sha256() });
  const data = Buffer.alloc(8);
  await expect(nvWrite(tpm, INDEX, data, OWNER)).rejects.toMatchObject({ rcName: 'TPM_RC_NV_AUTHORIZATION' });
  await expect(nvWrite(tpm, index, data, { authHandle: index })).rejects.toMatchObject({
    rcName: 'TPM_RC_AUTH_UNAVAILABLE',
  });
});

test('an index that is not there is said to be the handle at fault', async () => {
  await expect(nvReadPublic(tpm, INDEX)).rejects.toMatchObject({
    rcName: 'TPM_RC_HANDLE',
    subject: 'handle',
    index: 1,
  });
});
