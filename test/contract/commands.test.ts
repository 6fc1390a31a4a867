// Commands and operators' decisions on real Mosquitto and real SQLite: signed for a session, sent until evidence tells their end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { upTopic } from '../../src/bus/bus.ts';
import type { Command } from '../../src/protocol/messages.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, rulesOf, running, trustOf } from '../support/members.ts';
import type { Member } from '../support/members.ts';
import type { RunningController } from '../support/running-controller.ts';

let fleet: TestFleet;
let broker: TestBroker;
let one: TestRelease;
let two: TestRelease;

beforeAll(async () => {
  fleet = await makeTestFleet();
  one = await fleet.release();
  two = await fleet.release({ version: '2.0.0', securityVersion: 2 });
  broker = await fleet.startBroker();
});

afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

async function attested(controller: RunningController, { device, result }: Member) {
  await controller.controller.operator.ask(device.id);
  return result();
}

/** A device that has attested once, and the commands that come to it. */
async function ready(): Promise<{
  controller: RunningController;
  subject: Member;
  next: () => Promise<Command>;
  upgrade: () => Promise<string>;
}> {
  const controller = await running(fleet);
  const device = await member(controller, fleet, { release: one });
  const next = await device.device.commands(device.bus, trustOf(fleet).operatorKeys);
  await attested(controller, device);
  const upgrade = async (): Promise<string> => {
    const wish = { release: two.id, slot: null, source: null };
    const [given] = await controller.controller.operator.upgrade([device.device.id], wish);
    return given?.command ?? '';
  };
  return { controller, subject: device, next, upgrade };
}

describe('a command', () => {
  it('is signed for the device’s session, names release, slot and where to find it', async () => {
    const { subject: device, next, upgrade } = await ready();
    const id = await upgrade();
    const command = await next();
    expect(command).toEqual({
      v: 1,
      fleetId: fleet.fleetId,
      deviceId: device.device.id,
      session: device.device.session.toString('hex'),
      seq: 1,
      id,
      body: { kind: 'install', slot: 'detector', order: 1, release: two.id, source: two.folder },
    });
  });

  it('that was lost is sent again with the same number after the next accepted evidence', async () => {
    const { controller, subject: device, next, upgrade } = await ready();
    await upgrade();
    const first = await next();
    await attested(controller, device);
    expect(await next()).toEqual(first);
  });

  it('gets a fresh number when the device has passed the old one without telling an end', async () => {
    const { controller, subject: device, next, upgrade } = await ready();
    await upgrade();
    const { id, seq } = await next();
    device.device.lastSeq = seq;
    await attested(controller, device);
    expect(await next()).toMatchObject({ id, seq: seq + 1 });
  });

  it('is signed again for the new session of a device that was started again', async () => {
    const { controller, subject: device, next, upgrade } = await ready();
    await upgrade();
    const { id } = await next();
    device.device.session = randomBytes(16);
    device.device.tpm.reset();
    await device.device.begin(one);
    await attested(controller, device);
    expect(await next()).toMatchObject({ id, session: device.device.session.toString('hex'), seq: 1 });
  });

  it('ends with the report of the device, which the signed result acknowledges, and is never sent again', async () => {
    const { controller, subject: device, next, upgrade } = await ready();
    const id = await upgrade();
    const { seq } = await next();
    device.device.lastSeq = seq;
    await device.device.install(two, 'activated');
    device.device.report({ kind: 'activated', rule: 'done', slot: 'detector', subject: id, detail: 'runs' });
    const result = await attested(controller, device);
    expect(result.acknowledged).toEqual([{ session: device.device.session.toString('hex'), n: 1 }]);
    const [command] = await controller.registry.commands(device.device.id);
    expect(JSON.parse(command?.outcome ?? '')).toMatchObject({ kind: 'activated', rule: 'done', detail: 'runs' });
    expect(await controller.registry.devicesWithCommands()).not.toContain(device.device.id);
    const newer = await upgrade();
    await attested(controller, device);
    expect((await next()).id).toBe(newer);
    expect((await controller.registry.device(device.device.id))?.slots[0]).toMatchObject({
      release: two.id,
      version: '2.0.0',
    });
  });

  it('is kept for a device that has not attested yet', async () => {
    const controller = await running(fleet);
    const device = await member(controller, fleet, { release: one });
    const next = await device.device.commands(device.bus, trustOf(fleet).operatorKeys);
    const wish = { release: two.id.slice(0, 8), slot: 'detector', source: '/somewhere' };
    await controller.controller.operator.upgrade([device.device.id], wish);
    expect((await controller.registry.commands(device.device.id))[0]).toMatchObject({ session: null, seq: 0 });
    await attested(controller, device);
    expect((await next()).body).toMatchObject({ source: '/somewhere' });
  });

  it.each([
    ['for no published release', { release: 'ffff', slot: null, source: null }, /no release ffff/],
    ['for a slot the device does not have', { release: '', slot: 'other', source: null }, /no slot other/],
    ['from a relative path', { release: '', slot: null, source: 'there' }, /neither an absolute path/],
  ])('%s is not given', async (_what, wish, why) => {
    const { controller, subject: device } = await ready();
    const whole = { ...wish, release: wish.release === '' ? two.id : wish.release };
    await expect(controller.controller.operator.upgrade([device.device.id], whole)).rejects.toMatchObject({
      code: 'CONTROL_REFUSED',
      message: expect.stringMatching(why) as string,
    });
    expect(await controller.registry.commands(device.device.id)).toEqual([]);
  });

  it('for a withdrawn release is not given', async () => {
    await using other = await makeTestFleet();
    const bad = await other.release();
    await other.release({ version: '3', securityVersion: 3, passport: { withdraws: [bad.id] } });
    await using itsBroker = await other.startBroker();
    expect(itsBroker.pid).toBeGreaterThan(0);
    const controller = await running(other);
    const device = await member(controller, other, { release: bad });
    const wish = { release: bad.id, slot: null, source: null };
    await expect(controller.controller.operator.upgrade([device.device.id], wish)).rejects.toThrow('is withdrawn');
    expect(rulesOf(await attested(controller, device))).toContain('release-withdrawn');
    // Before the broker of this fleet goes away.
    await device.bus[Symbol.asyncDispose]();
  });
});

describe('an operator', () => {
  it('sets a device aside: no verdict trusts it and its lease ends, until it is approved again', async () => {
    const { controller, subject: device, next, upgrade } = await ready();
    await controller.controller.operator.quarantine(device.device.id, 'stolen?');
    const aside = await device.result();
    expect([aside.status, aside.leaseForMs, rulesOf(aside)]).toEqual([
      'contraindicated',
      0,
      ['quarantine', 'tier-software'],
    ]);
    await expect(upgrade()).rejects.toThrow('only approved devices');
    await controller.controller.operator.approve(device.device.id);
    const back = await device.result();
    expect([back.status, back.leaseForMs]).toEqual(['warning', 300_000]);
    await upgrade();
    expect((await next()).seq).toBe(1);
  });

  it('retires a device: what it says is not heard any more', async () => {
    const { controller, subject: device } = await ready();
    const next = await device.device.challenges(device.bus);
    await controller.controller.operator.ask(device.device.id);
    const { message } = await device.device.evidence(await next());
    await controller.controller.operator.retire(device.device.id, 'scrapped');
    const before = await controller.registry.device(device.device.id);
    await device.bus.publish(upTopic(device.device.id, 'evidence'), message);
    await expect(controller.controller.operator.ask(device.device.id)).rejects.toThrow('retired');
    const other = await member(controller, fleet, { release: one });
    await attested(controller, other);
    expect((await controller.registry.device(device.device.id))?.verdict).toEqual(before?.verdict);
  });

  it('replaces a device by another, which gets its label', async () => {
    const { controller, subject: old } = await ready();
    const fresh = await member(controller, fleet, { release: one });
    const { operator } = controller.controller;
    await operator.label(old.device.id, 'gate 4');
    await operator.replace('gate 4', fresh.device.id);
    expect(await operator.find('gate 4')).toMatchObject({ id: fresh.device.id, state: 'approved' });
    expect((await operator.find(old.device.id)).state).toBe('retired');
  });

  it('names a device by its id, its label or a beginning of its id that no other has', async () => {
    const { controller, subject: device } = await ready();
    const other = await member(controller, fleet, { release: one });
    const { operator } = controller.controller;
    await operator.label(device.device.id, 'front');
    expect((await operator.find('front')).id).toBe(device.device.id);
    expect((await operator.find(other.device.id.slice(0, 10))).id).toBe(other.device.id);
    await expect(operator.find('nobody')).rejects.toMatchObject({ code: 'CONTROL_REFUSED' });
    await expect(operator.find('')).rejects.toMatchObject({ code: 'CONTROL_REFUSED' });
    await expect(operator.label(other.device.id, 'front')).rejects.toMatchObject({ code: 'CONTROL_REFUSED' });
  });
});
