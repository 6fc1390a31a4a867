// Floors by the names of slots on a real software TPM: a lost floor lets nothing pass, and a token does only what it was asked for.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ABOVE_EVERY_FLOOR, SlotFloors, type SlotRaise } from '../../src/tpm/floor/slot-floors.ts';
import { encodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { firstWriteFor, FloorRig, onlySlot, provision, raiseTo, undefineFloors } from '../support/floor-bench.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';

let software: SoftwareTpm;
let rig: FloorRig;
let slots: SlotFloors;
let told: [string, SlotRaise][];
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  rig = await FloorRig.open(software);
  told = [];
  slots = new SlotFloors({
    floors: rig.floors,
    slots: new Map([
      ['camera', 0],
      ['gripper', 5],
    ]),
    onRaise: (slot, outcome) => told.push([slot, outcome]),
  });
  await provision(rig.device);
});
afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

test('each slot has its own floor, and a slot without one has none', async () => {
  await slots.raise('gripper', 4, encodeFloorToken(raiseTo(4n, { slot: 5 })));
  expect(told).toEqual([['gripper', { raised: true, floor: 4n }]]);
  expect([await slots.read('camera'), await slots.read('gripper'), await slots.read('other')]).toEqual([0n, 4n, null]);
  await slots.raise('other', 4, encodeFloorToken(raiseTo(5n, { slot: 5 })));
  expect(told).toHaveLength(1);
});

test('a floor that was deleted, or made anew, is above every version until the root wrote it again', async () => {
  await slots.raise('camera', 4, encodeFloorToken(raiseTo(4n)));
  await undefineFloors(rig.device.queue, ['floors']);
  expect(await slots.read('camera')).toBe(ABOVE_EVERY_FLOOR);
  const state = await rig.floors.define();
  expect(await slots.read('camera')).toBe(ABOVE_EVERY_FLOOR);
  await rig.floors.writeFirst(await firstWriteFor(rig.device, state, onlySlot(0, 4n)));
  expect(await slots.read('camera')).toBe(4n);
});

test('an order is not followed without token, by what is no token, or by one for another slot or version', async () => {
  await slots.raise('camera', 4, null);
  await slots.raise('camera', 4, Buffer.from('{}'));
  await slots.raise('camera', 4, encodeFloorToken(raiseTo(4n, { slot: 5 })));
  await slots.raise('camera', 4, encodeFloorToken(raiseTo(5n)));
  await slots.raise('camera', 4, encodeFloorToken(await firstWriteFor(rig.device, await rig.floors.read())));
  expect(told.map(([, outcome]) => outcome)).toEqual([
    { raised: false, why: ['no-token'] },
    { raised: false, why: ['malformed'] },
    { raised: false, why: ['other-order'] },
    { raised: false, why: ['other-order'] },
    { raised: false, why: ['other-order'] },
  ]);
  expect(await rig.values()).toEqual(onlySlot(0, 0n));
});
