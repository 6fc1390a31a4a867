// Attacks on the version floors of a real software TPM: what it refuses by itself, and what each condition of a token is for.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { nvReadPublic, nvWrite } from '../../src/tpm/commands/nv.ts';
import { defineFloors, floorBytes } from '../../src/tpm/floor/definition.ts';
import {
  type FloorWrite,
  type RaiseOrder,
  firstWriteConditions,
  floorToken,
  floorWrite,
  raiseConditions,
} from '../../src/tpm/floor/token.ts';
import { writeFloors } from '../../src/tpm/floor/write.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import {
  FloorRig,
  ZEROS,
  firstWriteFor,
  fleet,
  onlySlot,
  provision,
  raiseTo,
  undefineFloors,
  writeUnder,
} from '../support/floor-bench.ts';
import { type SoftwareTpm, startSoftwareTpm } from '../support/software-tpm.ts';

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

describe('the TPM itself refuses', () => {
  beforeEach(async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(7n));
  });
  const untouched = async (): Promise<boolean> =>
    (await rig.values()).every((value, slot) => value === (slot === 0 ? 7n : 0n));

  test('a token of a lower floor that was good once', async () => {
    await expect(rig.ask(raiseTo(5n))).rejects.toMatchObject(POLICY);
    await expect(rig.ask(raiseTo(7n))).rejects.toMatchObject(POLICY);
    expect(await untouched()).toBe(true);
  });

  test('a token from further below than its step', async () => {
    await expect(rig.ask(raiseTo(24n))).rejects.toMatchObject(POLICY);
    expect(await rig.floors.raise(raiseTo(24n))).toMatchObject({ raised: false, why: ['floor-too-far'] });
    expect(await untouched()).toBe(true);
  });

  test('a jump to 2^63 by a bounded token', async () => {
    await expect(rig.ask(raiseTo(2n ** 63n))).rejects.toMatchObject(POLICY);
    expect(await rig.floors.raise(raiseTo(2n ** 63n))).toMatchObject({ raised: false, why: ['floor-too-far'] });
    expect(await untouched()).toBe(true);
  });

  test('a token whose numbers were changed after signing', async () => {
    const token = raiseTo(20n);
    for (const change of [{ to: 9n }, { slot: 1 }, { maxStep: 1000n }, { by: 'root' }] as const) {
      const changed = { ...token, ...change };
      await expect(rig.ask(changed)).rejects.toMatchObject({ rcName: 'TPM_RC_SIGNATURE' });
      expect(await rig.floors.raise(changed)).toMatchObject({ raised: false });
    }
    expect(await untouched()).toBe(true);
  });

  test('a token of a key that is no authority', async () => {
    const thief = generateKey('p256');
    const order: RaiseOrder = { kind: 'raise', slot: 0, to: 8n, maxStep: 16n };
    const token = floorToken(fleet, order, { by: 'floor', privateKey: thief.privateKey });
    await expect(rig.ask(token)).rejects.toMatchObject({ rcName: 'TPM_RC_SIGNATURE' });
    expect(await rig.floors.raise(token)).toMatchObject({ raised: false, why: ['not-signed'] });
    const theirs = defineFloors({ floor: thief.publicKey, root: null });
    const own = floorToken(theirs, order, { by: 'floor', privateKey: thief.privateKey });
    const asked = rig.device.withParts(async ({ queue, ak }) =>
      writeFloors(queue, { ...theirs, floors: fleet.floors }, own, ak),
    );
    await expect(asked).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    expect(await untouched()).toBe(true);
  });

  test('another write, another value or another slot, under a policy that was met', async () => {
    const token = raiseTo(8n);
    const approval = { by: 'floor', conditions: raiseConditions(token), cpHash: true } as const;
    const approved = floorWrite(token);
    for (const write of [
      { data: floorBytes(255n), offset: 0 },
      { data: floorBytes(8n), offset: 8 },
      { data: Buffer.concat([floorBytes(8n), floorBytes(8n)]), offset: 0 },
    ]) {
      await expect(writeUnder(rig.device.queue, approval, { ...write, approved })).rejects.toMatchObject({
        rcName: 'TPM_RC_POLICY_FAIL',
      });
    }
    expect(await untouched()).toBe(true);
  });

  test('a write by the owner, or by the index’s empty password', async () => {
    const index = await nvReadPublic(rig.device.queue, fleet.floors.handle);
    const data = floorBytes(0n);
    await expect(nvWrite(rig.device.queue, index, data, { authHandle: TPM_RH.OWNER })).rejects.toMatchObject({
      rcName: 'TPM_RC_NV_AUTHORIZATION',
    });
    await expect(nvWrite(rig.device.queue, index, data, { authHandle: index })).rejects.toMatchObject({
      rcName: 'TPM_RC_AUTH_UNAVAILABLE',
    });
    expect(await untouched()).toBe(true);
  });

  test('a first write of floors that are written', async () => {
    const token = await firstWriteFor(rig.device, await rig.floors.read());
    await expect(rig.ask(token)).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    expect(await rig.floors.writeFirst(token)).toMatchObject({ written: false, why: ['not-unwritten'] });
    expect(await untouched()).toBe(true);
  });
});

describe('without one condition of its policy, a token would let', () => {
  const lower: FloorWrite = { data: floorBytes(1n), offset: 0 };
  beforeEach(async () => {
    await provision(rig.device);
    await rig.floors.raise(raiseTo(7n));
  });

  test('a floor be lowered, if it did not ask for less', async () => {
    const [, notTooFar] = raiseConditions({ kind: 'raise', slot: 0, to: 1n, maxStep: 16n });
    if (notTooFar === undefined) throw new TypeError('no such condition');
    await writeUnder(rig.device.queue, { by: 'floor', conditions: [notTooFar], cpHash: true }, lower);
    expect(await rig.values()).toEqual(onlySlot(0, 1n));
  });

  test('a floor jump, if it did not ask for enough', async () => {
    const token: RaiseOrder = { kind: 'raise', slot: 0, to: 2n ** 63n, maxStep: 16n };
    const [higher] = raiseConditions(token);
    if (higher === undefined) throw new TypeError('no such condition');
    await writeUnder(rig.device.queue, { by: 'floor', conditions: [higher], cpHash: true }, floorWrite(token));
    expect(await rig.values()).toEqual(onlySlot(0, 2n ** 63n));
  });

  test('any value be written to any slot, if it did not name the one write', async () => {
    const conditions = raiseConditions(raiseTo(8n));
    const write = { data: floorBytes(1n), offset: 0, approved: floorWrite(raiseTo(8n)) };
    await writeUnder(rig.device.queue, { by: 'floor', conditions, cpHash: false }, write);
    expect(await rig.values()).toEqual(onlySlot(0, 1n));
  });

  test('floors be written anew by an old first write, if it did not name the generation', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    await rig.floors.define();
    const { ak } = await rig.device.withParts(async (parts) => Promise.resolve(parts));
    const write = { data: Buffer.alloc(64), offset: 0, unwritten: true, ak };
    await writeUnder(
      rig.device.queue,
      { by: 'root', nvWritten: false, conditions: [], secret: ak.name, cpHash: true },
      write,
    );
    expect(await rig.values()).toEqual(ZEROS);
  });

  test('floors be written by the first write of another rig.device, if it did not name the device', async () => {
    await undefineFloors(rig.device.queue, ['floors']);
    const { generation } = await rig.floors.define();
    const conditions = firstWriteConditions({
      kind: 'first-write',
      values: ZEROS,
      generation: generation ?? 0n,
      akName: Buffer.alloc(34),
    });
    const write = { data: Buffer.alloc(64), offset: 0, unwritten: true };
    await writeUnder(rig.device.queue, { by: 'root', nvWritten: false, conditions, cpHash: true }, write);
    expect(await rig.values()).toEqual(ZEROS);
  });
});
