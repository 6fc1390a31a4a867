// The version floors on a real software TPM: raised, lost, recovered and read; never lower, never taken for zero.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { clear } from '../../src/tpm/commands/hierarchy.ts';
import { nvDefine, nvIncrement, nvWrite } from '../../src/tpm/commands/nv.ts';
import { flushContext, loadExternal } from '../../src/tpm/commands/objects.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { defineFloors, floorBytes } from '../../src/tpm/floor/definition.ts';
import { VersionFloors } from '../../src/tpm/floor/floors.ts';
import type { FirstWriteToken } from '../../src/tpm/floor/provision.ts';
import { type RaiseOrder, floorToken } from '../../src/tpm/floor/token.ts';
import { writeFloors } from '../../src/tpm/floor/write.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_CC, TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import { publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import {
  FloorRig,
  ZEROS,
  firstWriteFor,
  fleet,
  onlySlot,
  provision,
  raiseTo,
  signed,
  undefineFloors,
} from '../support/floor-bench.ts';
import { type SoftwareTpm, startSoftwareTpm } from '../support/software-tpm.ts';
import { CommandQueue } from '../../src/tpm/queue.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';

let software: SoftwareTpm;
let rig: FloorRig;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  rig = await FloorRig.open(software);
});
afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

const POLICY = { rcName: 'TPM_RC_POLICY' };

describe('raising', () => {
  test('goes step by step, by tokens that hold for every rig.device, and moves one slot only', async () => {
    await provision(rig.device);
    expect(await rig.floors.raise(raiseTo(5n))).toEqual({ raised: true, floor: 5n });
    expect(await rig.floors.raise(raiseTo(7n))).toEqual({ raised: true, floor: 7n });
    expect(await rig.floors.raise(raiseTo(3n, { slot: 7 }))).toEqual({ raised: true, floor: 3n });
    expect(await rig.values()).toEqual([7n, 0n, 0n, 0n, 0n, 0n, 0n, 3n]);
  });

  test('survives a power cut, and its own repetition', async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(5n));
    await rig[Symbol.asyncDispose]();
    await software.restart({ clean: false });
    rig = await FloorRig.open(software);
    expect(await rig.values()).toEqual(onlySlot(0, 5n));
    expect(await rig.floors.raise(raiseTo(5n))).toEqual({ raised: true, floor: 5n });
  });

  test('whose answer was lost is finished by the same call on a new connection', async () => {
    await provision(rig.device);
    rig.tap.change = (response, code) => {
      if (code === TPM_CC.NV_Write) throw new Error('cable pulled');
      return response;
    };
    await expect(rig.floors.raise(raiseTo(5n))).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
    await rig[Symbol.asyncDispose]();
    rig = await FloorRig.open(software);
    expect(await rig.values()).toEqual(onlySlot(0, 5n));
    expect(await rig.floors.raise(raiseTo(5n))).toEqual({ raised: true, floor: 5n });
  });

  test('is not "done" when the floor is higher: that version is an old one now', async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(7n));
    expect(await rig.floors.raise(raiseTo(5n))).toMatchObject({ raised: false, why: ['floor-above'] });
  });

  test('says so when the floor that is read back is another than was written', async () => {
    await provision(rig.device);
    const stranger = new CommandQueue(rig.inner);
    rig.tap.change = async (response, code) => {
      if (code !== TPM_CC.NV_Write) return response;
      rig.tap.change = (unchanged) => unchanged;
      // Somebody else on the same TPM, before the reading back. A raise asks for no key of the rig.device.
      await writeFloors(stranger, fleet, raiseTo(9n), { handle: 0, name: Buffer.alloc(0), publicArea: AK_TEMPLATE });
      return response;
    };
    expect(await rig.floors.raise(raiseTo(5n))).toMatchObject({
      raised: false,
      why: ['read-back-differs'],
      state: { state: 'set', values: onlySlot(0, 9n) },
    });
  });

  test('works with the floor’s key alone, for a fleet whose root has none for floors', async () => {
    await undefineFloors(rig.device.queue, ['floors', 'generation']);
    const key = generateKey('p256');
    const alone = defineFloors({ floor: key.publicKey, root: null });
    const by = { by: 'floor', privateKey: key.privateKey } as const;
    const lone = new VersionFloors(rig.device, alone, 16n);
    const { generation } = await lone.define();
    const { akName } = await rig.device.identity();
    const order = { kind: 'first-write', values: ZEROS, generation: generation ?? 0n, akName } as const;
    expect(await lone.writeFirst(floorToken(alone, order, by))).toMatchObject({ written: true });
    const raise: RaiseOrder = { kind: 'raise', slot: 1, to: 4n, maxStep: 4n };
    expect(await lone.raise(floorToken(alone, raise, by))).toEqual({ raised: true, floor: 4n });
  });

  test('by more than a step is the root’s alone', async () => {
    await provision(rig.device);
    expect(await rig.floors.raise(raiseTo(1000n, { maxStep: 1000n, by: 'root' }))).toEqual({
      raised: true,
      floor: 1000n,
    });
    expect(await rig.floors.raise(raiseTo(2000n, { maxStep: 1000n }))).toMatchObject({
      raised: false,
      why: ['step-above-limit'],
    });
  });

  test('compares without sign, up to the last value there is', async () => {
    await provision(rig.device);
    const last = 2n ** 64n - 1n;
    await rig.floors.raise(raiseTo(2n ** 63n, { maxStep: last, by: 'root' }));
    expect(await rig.floors.raise(raiseTo(2n ** 63n + 1n))).toEqual({ raised: true, floor: 2n ** 63n + 1n });
    await expect(rig.ask(raiseTo(5n))).rejects.toMatchObject(POLICY);
    expect(await rig.floors.raise(raiseTo(last, { maxStep: last, by: 'root' }))).toEqual({ raised: true, floor: last });
  });
});

describe('an owner who deletes floors', () => {
  let burnt: FirstWriteToken;
  beforeEach(async () => {
    burnt = await provision(rig.device);
    await rig.floors.raise(raiseTo(7n));
  });

  test('leaves none, which is said and never read as zero', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    expect(await rig.floors.read()).toMatchObject({ state: 'missing' });
    expect(await rig.floors.raise(raiseTo(8n))).toMatchObject({ raised: false, why: ['no-floors'] });
  });

  test('and makes the index anew has unwritten floors, and can’t use the first write that was burnt', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    await nvDefine(rig.device.queue, fleet.floors.publicArea);
    expect(await rig.floors.read()).toMatchObject({ state: 'unwritten' });
    await expect(rig.ask(burnt)).rejects.toMatchObject(POLICY);
    expect(await rig.floors.writeFirst(burnt)).toMatchObject({ written: false, why: ['other-generation'] });
    await expect(rig.ask(raiseTo(8n))).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    expect(await rig.floors.read()).toMatchObject({ state: 'unwritten' });
  });

  test('and makes both indices anew meets a counter that goes on', async () => {
    await undefineFloors(rig.device.queue, ['floors', 'generation']);
    const { state, generation } = await rig.floors.define();
    expect(state).toBe('unwritten');
    expect(generation).toBeGreaterThan(burnt.generation);
    await expect(rig.ask(burnt)).rejects.toMatchObject(POLICY);
    expect(await rig.floors.writeFirst(burnt)).toMatchObject({ written: false, why: ['other-generation'] });
  });

  test('and puts another index in their place is noticed by its Name', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    const thief = defineFloors({ floor: generateKey('p256').publicKey, root: null });
    await nvDefine(rig.device.queue, thief.floors.publicArea);
    expect(await rig.floors.read()).toMatchObject({ state: 'foreign' });
    expect(await rig.floors.raise(raiseTo(8n))).toMatchObject({ raised: false, why: ['no-floors'] });
    expect(await rig.floors.define()).toMatchObject({ state: 'foreign' });
  });

  test('by clearing the TPM leaves none', async () => {
    await clear(rig.device.queue);
    expect(await rig.floors.read()).toEqual({ state: 'missing', generation: null });
  });

  test('and only the counter leaves the floors in force', async () => {
    await undefineFloors(rig.device.queue, ['generation']);
    expect(await rig.floors.read()).toEqual({ state: 'set', values: onlySlot(0, 7n), generation: null });
    expect(await rig.floors.raise(raiseTo(8n))).toEqual({ raised: true, floor: 8n });
  });

  test('is made good by a token of the root for this rig.device, at the floors that were', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    const recovery = await firstWriteFor(rig.device, await rig.floors.define(), onlySlot(0, 7n));
    expect(await rig.floors.writeFirst(recovery)).toMatchObject({ written: true });
    expect(await rig.values()).toEqual(onlySlot(0, 7n));
    await expect(rig.ask(raiseTo(5n))).rejects.toMatchObject(POLICY);
    expect(await rig.floors.writeFirst(recovery)).toMatchObject({ written: false, why: ['other-generation'] });
  });
});

describe('a first write', () => {
  test('is good for its device only, also where another’s counter says the same', async () => {
    await undefineFloors(rig.device.queue, ['floors', 'generation']);
    const here = await rig.floors.define();
    await using other = await startSoftwareTpm({ ekCertificates: false });
    await using stranger = await openDeviceTpm({ transport: await openSocketTransport({ path: other.socketPath }) });
    await undefineFloors(stranger.queue, ['floors', 'generation']);
    const there = new VersionFloors(stranger, fleet, 16n);
    await there.define();
    for (let state = await there.read(); state.generation !== here.generation; state = await there.read()) {
      await nvIncrement(stranger.queue, fleet.generation.handle, { authHandle: TPM_RH.OWNER });
    }
    const token = await firstWriteFor(rig.device, here);
    expect(await there.writeFirst(token)).toMatchObject({ written: false, why: ['other-device'] });
    const asked = stranger.withParts(async ({ queue, ak }) => writeFloors(queue, fleet, token, ak));
    await expect(asked).rejects.toMatchObject({ rcName: 'TPM_RC_VALUE' });
    // Nor does the other's key help, of which anybody can load the public part.
    const { akPublic } = await rig.device.identity();
    const loaded = await loadExternal(stranger.queue, decode(TpmtPublic, akPublic));
    expect(loaded.name).toEqual(token.akName);
    await expect(writeFloors(stranger.queue, fleet, token, loaded)).rejects.toMatchObject({
      rcName: expect.stringMatching(/AUTH/) as unknown,
    });
    await flushContext(stranger.queue, loaded);
    expect(await there.read()).toMatchObject({ state: 'unwritten' });
    expect(await rig.floors.writeFirst(token)).toMatchObject({ written: true });
  });

  test('that was cut before its token was burnt is finished by the same call', async () => {
    await undefineFloors(rig.device.queue, ['floors', 'generation']);
    const token = await firstWriteFor(rig.device, await rig.floors.define(), onlySlot(2, 3n));
    await rig.ask(token);
    const { generation } = await rig.floors.read();
    expect(generation).toBe(token.generation);
    expect(await rig.floors.writeFirst(token)).toMatchObject({
      written: true,
      state: { state: 'set', values: onlySlot(2, 3n), generation: token.generation + 1n },
    });
    await undefineFloors(rig.device.queue, ['floors']);
    await rig.floors.define();
    await expect(rig.ask(token)).rejects.toMatchObject(POLICY);
  });

  test('is the root’s: one that the floor’s key signed for the root is refused', async () => {
    await undefineFloors(rig.device.queue, ['floors', 'generation']);
    const { generation } = await rig.floors.define();
    const { akName } = await rig.device.identity();
    const order = { kind: 'first-write', values: ZEROS, generation: generation ?? 0n, akName } as const;
    const forged = { ...signed(order, 'floor'), by: 'root' } as const;
    await expect(rig.ask(forged)).rejects.toMatchObject({ rcName: 'TPM_RC_SIGNATURE' });
    expect(await rig.floors.writeFirst(forged)).toMatchObject({ written: false, why: ['not-signed'] });
  });
});

describe('reading', () => {
  test('through somebody who changes the floor on the bus is an error, not another floor', async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(7n));
    rig.tap.change = (response, code) => {
      if (code !== TPM_CC.NV_Read || response.readUInt32BE(6) !== 0) return response;
      const changed = Buffer.from(response);
      changed[23] = (changed[23] ?? 0) ^ 7;
      return changed;
    };
    await expect(rig.floors.read()).rejects.toMatchObject({ code: 'TPM_SESSION' });
    rig.tap.change = (response) => response;
    expect(await rig.values()).toEqual(onlySlot(0, 7n));
  });

  test('is certified by the AK for who is not here, with the Name of the index', async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(7n, { slot: 1 }));
    const nonce = Buffer.alloc(32, 4);
    const certified = await rig.floors.certify(nonce);
    if (certified === null) throw new TypeError('floors that are set are certified');
    const { akPublic, akQualifiedName } = await rig.device.identity();
    const { attest, signature } = certified.certificate;
    expect(decode(TpmsAttest, attest)).toMatchObject({
      extraData: nonce,
      qualifiedSigner: akQualifiedName,
      attested: {
        type: 'nv',
        nv: { indexName: fleet.floors.written, offset: 0, nvContents: Buffer.concat(onlySlot(1, 7n).map(floorBytes)) },
      },
    });
    expect(certified.values).toEqual(onlySlot(1, 7n));
    const key = publicKeyOf(decode(TpmtPublic, akPublic));
    expect(verifyTpmSignature(key, attest, decode(TpmtSignature, signature))).toBe(true);
  });

  test('is certified by nobody while it is missing, not written, or another index', async () => {
    const { publicArea, written } = fleet.floors;
    const nonce = Buffer.alloc(32, 4);
    await undefineFloors(rig.device.queue, ['floors']);
    expect(await rig.floors.certify(nonce)).toBeNull();
    await rig.floors.define();
    expect(await rig.floors.certify(nonce)).toBeNull();
    await undefineFloors(rig.device.queue, ['floors']);
    const { ownerWrite } = TPMA_NV;
    await nvDefine(rig.device.queue, { ...publicArea, attributes: (publicArea.attributes | ownerWrite) >>> 0 });
    const index = { handle: publicArea.nvIndex, name: written };
    await nvWrite(rig.device.queue, index, Buffer.alloc(64, 1), { authHandle: TPM_RH.OWNER });
    expect(await rig.floors.certify(nonce)).toBeNull();
    await undefineFloors(rig.device.queue, ['floors']);
  });
});
