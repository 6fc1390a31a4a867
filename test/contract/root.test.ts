// The root statement on its way to devices, on real Mosquitto: to newcomers, to who is behind, and to nobody else.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { downTopic } from '../../src/bus/bus.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { nextRoot } from '../../src/release/root-change.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { loadTrust } from '../../src/release/root.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, newcomerBus, running, trustOf } from '../support/members.ts';
import { nextOf, SoftDevice } from '../support/soft-device.ts';

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;

beforeEach(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  broker = await fleet.startBroker();
});

afterEach(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** Puts the next statement into the controller's folder. */
function publish(): void {
  const { root } = trustOf(fleet);
  const next = nextRoot(root, { issuedAt: root.issuedAt, expires: root.expires });
  const file = encodeRootFile([signRoot(next, [fleet.key('root/root-1.key.pem')])]);
  writeFileSync(join(fleet.controllerDir, 'root.json'), file);
}

const versionOf = (bytes: Buffer): number => {
  const { fleet: file } = trustOf(fleet);
  return loadTrust(Buffer.from(JSON.stringify(file)), bytes, Date.now(), 0).version;
};

it('comes to a device whose evidence says that it acts by an older one, and to no other', async () => {
  const controller = await running(fleet);
  const behind = await member(controller, fleet, { release, silent: true });
  const heard = await nextOf(behind.bus, downTopic(behind.device.id, 'root'));
  await behind.device.answerAll(behind.bus, { claims: { rootVersion: 1 } });
  const upToDate = await member(controller, fleet, { release, silent: true });
  const came: number[] = [];
  await upToDate.bus.subscribe(downTopic(upToDate.device.id, 'root'), ({ payload }) => came.push(versionOf(payload)));
  await upToDate.device.answerAll(upToDate.bus, { claims: { rootVersion: 2 } });
  publish();
  controller.controller.reload();
  // What came while it enrolled may still be under way.
  while (versionOf(await heard()) < 2);
  // What belongs to its enrolment may come during the first rounds; evidence alone brings nothing.
  for (let round = 0; round < 4; round++) {
    if (round === 2) came.length = 0;
    await controller.controller.operator.ask(upToDate.device.id);
    await upToDate.result();
  }
  expect(came).toEqual([]);
  expect(controller.lines.some((line) => line.includes('root statement 2 is in force'))).toBe(true);
});

it('comes to a newcomer before the word that lets him in', async () => {
  publish();
  const controller = await running(fleet);
  const device = await SoftDevice.make(fleet, release);
  const joining = await newcomerBus(fleet);
  const heard = await nextOf(joining, downTopic(device.id, 'root'));
  await device.enrol(joining, 'pending');
  const approved = device.enrol(joining, 'approved');
  await controller.controller.operator.approve(device.id);
  await approved;
  expect(versionOf(await heard())).toBe(2);
});

it('that is older, or of nobody, changes nothing and is named', async () => {
  publish();
  const controller = await running(fleet);
  const { fleet: file, root } = trustOf(fleet);
  const forged = signRoot({ ...root, version: 9 }, [fleet.publisherKey]);
  for (const bytes of [
    encodeRootFile([signRoot(root, [fleet.key('root/root-1.key.pem')])]),
    encodeRootFile([forged]),
  ]) {
    writeFileSync(join(fleet.controllerDir, 'root.json'), bytes);
    controller.controller.reload();
    const { faults } = (await controller.controller.health()).references;
    expect(faults[0]).toContain('root.json was not taken');
  }
  expect(file.fleetId).toBe(fleet.fleetId);
});
