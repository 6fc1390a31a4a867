// Others at the same time: torn PCR reads, calls at once, and answers in the clear that name another key or index than they show.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { nvDefine, nvReadPublic } from '../../src/tpm/commands/nv.ts';
import { createPrimary, flushContext, readPublic } from '../../src/tpm/commands/objects.ts';
import { pcrExtend, pcrRead } from '../../src/tpm/commands/pcr.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { CommandQueue } from '../../src/tpm/queue.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';
import { TPM_ALG, TPM_CC, TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { impostor } from '../support/impostor-key.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { flipped } from '../support/tpm-bench.ts';
import { tapped, type TappedTransport } from '../support/tapped-transport.ts';

const ALL = Array.from({ length: 24 }, (_, pcr) => pcr);

let software: SoftwareTpm;
let inner: TpmTransport;
let tap: TappedTransport;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  inner = await openSocketTransport({ path: software.socketPath });
  tap = tapped(inner);
});
afterEach(async () => {
  await inner.close();
});

describe('a read of all PCRs', () => {
  test('during which somebody extends begins again, so that its values are of one moment', async () => {
    const tpm = new CommandQueue(tap);
    const stranger = new CommandQueue(inner);
    const [before] = await pcrRead(tpm, TPM_ALG.SHA256, [0]);
    const digest = randomBytes(32);
    let reads = 0;
    tap.change = async (response, code) => {
      if (code === TPM_CC.PCR_Read) reads += 1;
      if (reads === 1 && code === TPM_CC.PCR_Read) await pcrExtend(stranger, 0, TPM_ALG.SHA256, digest);
      return response;
    };
    const values = await pcrRead(tpm, TPM_ALG.SHA256, ALL);
    expect(values[0]).toEqual(sha256(before ?? Buffer.alloc(0), digest));
    expect(reads).toBeGreaterThan(3);
  });

  test('during which somebody extends without end is given up', async () => {
    const tpm = new CommandQueue(tap);
    const stranger = new CommandQueue(inner);
    tap.change = async (response, code) => {
      if (code === TPM_CC.PCR_Read) await pcrExtend(stranger, 0, TPM_ALG.SHA256, randomBytes(32));
      return response;
    };
    await expect(pcrRead(tpm, TPM_ALG.SHA256, ALL)).rejects.toMatchObject({
      code: 'TPM_RESPONSE',
      message: expect.stringContaining('faster') as unknown,
    });
  });
});

test('many calls at once are done one after the other: the TPM has room for three sessions only', async () => {
  await using device = await openDeviceTpm({ transport: tap });
  const numbers = await Promise.all(Array.from({ length: 8 }, async () => device.random(8)));
  expect(new Set(numbers.map((number) => number.toString('hex'))).size).toBe(8);
});

describe('an answer in the clear is refused when', () => {
  test('the Name of a key is not that of the public area with it', async () => {
    const tpm = new CommandQueue(tap);
    const key = await createPrimary(tpm, TPM_RH.OWNER, AK_TEMPLATE);
    // TPM2B_PUBLIC first: a bit of its X; then the Name; then the qualified Name, which the public area does not tell.
    tap.change = (response) => flipped(response, (response.length - 36 - 3) * 8);
    await expect(readPublic(tpm, key.handle)).rejects.toMatchObject({
      code: 'TPM_RESPONSE',
      message: expect.stringContaining('Name') as unknown,
    });
    tap.change = (response) => flipped(response, (10 + 2 + 88 - 3) * 8);
    await expect(readPublic(tpm, key.handle)).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    tap.change = (response) => response;
    await flushContext(tpm, key);
  });

  test('the Name of an NV index is not that of its public area, or the index is another', async () => {
    const tpm = new CommandQueue(tap);
    const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.noDA;
    const area = { nameAlg: TPM_ALG.SHA256, attributes, authPolicy: Buffer.alloc(0), dataSize: 8 };
    await nvDefine(tpm, { ...area, nvIndex: 0x01800031 });
    await nvDefine(tpm, { ...area, nvIndex: 0x01800032 });
    await nvReadPublic(tpm, 0x01800031);
    const answer = tap.seen.at(-1) ?? Buffer.alloc(0);
    tap.change = (response) => flipped(response, response.length * 8 - 1);
    await expect(nvReadPublic(tpm, 0x01800031)).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    tap.change = () => answer;
    await expect(nvReadPublic(tpm, 0x01800032)).rejects.toMatchObject({
      code: 'TPM_RESPONSE',
      message: expect.stringContaining('index asked for') as unknown,
    });
  });

  test('the endorsement key, made anew after its context was lost, is another', async () => {
    await using device = await openDeviceTpm({ transport: tap });
    await device.random(8);
    const { swap } = impostor();
    const lost = Buffer.from('80010000000a000001df', 'hex');
    tap.change = (response, code) => (code === TPM_CC.ContextLoad ? lost : swap(response, code));
    await expect(device.random(8)).rejects.toMatchObject({
      code: 'TPM_RESPONSE',
      message: expect.stringContaining('another than before') as unknown,
    });
    tap.change = (response, code) => (code === TPM_CC.ContextLoad ? lost : response);
    expect(await device.random(8)).toHaveLength(8);
  });
});
