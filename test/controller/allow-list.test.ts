// Endorsement keys that are let in beforehand: from a delivery note or a factory line, by exact Name, and by nothing less.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { toHex } from '../../src/bytes/text.ts';
import { openAllowList } from '../../src/controller/allow-list.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { objectName } from '../../src/tpm/wire/names.ts';
import { publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';
import { Issuer } from '../support/make-ek-certificate.ts';
import { newcomerBus, running } from '../support/members.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice, outcome } from './desk.ts';
import type { Desk, Office } from './desk.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

async function ekOf(device: SoftDevice): Promise<TpmtPublic> {
  return decode(TpmtPublic, (await device.tpm.identity()).ekPublic);
}
const nameOf = async (device: SoftDevice): Promise<string> => toHex(objectName(await ekOf(device)));
const newDevice = async (): Promise<SoftDevice> => SoftDevice.make(office.fleet, null);

async function endorsed(desk: Desk, device: SoftDevice): Promise<{ approvedBy: string; tier: string } | null> {
  const envelope = (await desk.registry.device(device.id))?.endorsement ?? '';
  return openStatement('endorsement', Buffer.from(envelope), office.settings.trust.resultKeys);
}

describe('a device whose endorsement key was let in beforehand', () => {
  test('needs nobody’s approval, and its endorsement says who let it in', async () => {
    const [desk, device, other] = [await openDesk(office), await newDevice(), await newDevice()];
    desk.allowed.add([{ ekName: await nameOf(device), note: 'delivery 7', pinned: false }]);
    await ask(desk, other);
    expect(outcome(desk).outcome).toBe('pending');
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('approved');
    expect(await endorsed(desk, device)).toMatchObject({ approvedBy: 'allow-list delivery 7', tier: 'software' });
  });

  test('is pinned where the operator saw the hardware, and its token is not used up', async () => {
    const [desk, device] = [await openDesk(office), await newDevice()];
    desk.allowed.add([{ ekName: await nameOf(device), note: 'bench', pinned: true }]);
    const token = await desk.tokens.issue('spare', Date.now() + 3_600_000);
    await ask(desk, device, { token });
    expect(await endorsed(desk, device)).toMatchObject({ tier: 'pinned' });
    expect((await desk.registry.device(device.id))?.tier).toBe('pinned');
    expect(await desk.tokens.take(token, Date.now())).toBe('spare');
  });

  test('is not pinned when its own certificate names a software TPM, whatever the operator says', async () => {
    const [desk, device] = [await openDesk(office), await newDevice()];
    desk.allowed.add([{ ekName: await nameOf(device), note: 'bench', pinned: true }]);
    const ekCertificate = new Issuer('swtpm-localca').issue({
      publicKey: publicKeyOf(await ekOf(device)),
      tpm: ['id:00001014', 'swtpm', 'id:20191023'],
    });
    await ask(desk, device, { ekCertificate });
    expect(await endorsed(desk, device)).toMatchObject({ tier: 'software' });
  });

  test.each(['rejected', 'retired', 'quarantined'] as const)('does not come back from being %s', async (state) => {
    const [desk, device] = [await openDesk(office), await newDevice()];
    await ask(desk, device);
    if (state !== 'rejected') await desk.desk.approve(device.id, 'Jo');
    await desk.registry.setState(device.id, ['pending', 'approved'], state);
    desk.allowed.add([{ ekName: await nameOf(device), note: 'x', pinned: false }]);
    await ask(desk, device);
    expect(await desk.desk.admitAllowed(device.id)).toBe(false);
    expect((await desk.registry.device(device.id))?.state).toBe(state);
  });

  test('must still prove that its keys are of one TPM', async () => {
    const [desk, device, thief] = [await openDesk(office), await newDevice(), await newDevice()];
    desk.allowed.add([{ ekName: await nameOf(device), note: 'x', pinned: false }]);
    const { akPublic } = await thief.tpm.identity();
    const request = await device.request({ akPublic });
    await desk.desk.receive(device.id, request);
    expect(await desk.registry.device(device.id)).toBeNull();
    expect(await desk.desk.admitAllowed(device.id)).toBe(false);
  });
});

test('a list that is damaged lets nobody in, and says which file it is', async () => {
  await using scratch = await Scratch.make();
  const list = openAllowList(scratch.path('allowed-eks.json'));
  const ekName = `000b${'ab'.repeat(32)}`;
  expect([list.find(ekName), list.list()]).toEqual([null, []]);
  list.add([{ ekName, note: 'one', pinned: false }]);
  list.add([{ ekName, note: 'two', pinned: true }]);
  expect(list.list()).toEqual([{ ekName, note: 'two', pinned: true }]);
  for (const text of ['', '[', '{}', '[{"ekName":"00","note":"x","pinned":true}]', `[{"ekName":"${ekName}"}]`]) {
    writeFileSync(scratch.path('allowed-eks.json'), text);
    expect(() => list.find(ekName)).toThrow('allowed-eks.json');
  }
});

test('a damaged list leaves newcomers waiting, and the desk open', async () => {
  const [desk, device] = [await openDesk(office), await newDevice()];
  writeFileSync(join(desk.stateDir, 'allowed-eks.json'), '{');
  await ask(desk, device);
  expect(outcome(desk).outcome).toBe('pending');
  expect(desk.lines.join('\n')).toContain('nobody is let in by it');
});

test('`device allow` lets in who waits, gives the list to another fleet, and takes from it', async () => {
  await using broker = await office.fleet.startBroker();
  expect(broker.pid).toBeGreaterThan(0);
  const controller = await running(office.fleet);
  const device = await newDevice();
  const bus = await newcomerBus(office.fleet);
  await device.enrol(bus, 'pending');
  const ekName = await nameOf(device);
  const state = ['--state', office.fleet.controllerDir];
  const allowed = await quicklyJson(['device', 'allow', ekName.toUpperCase(), '--note', 'line 3', ...state]);
  expect(allowed.stderr).toContain(device.id);
  expect(allowed.document).toEqual({ entries: [{ ekName, note: 'line 3', pinned: false }], batches: [] });
  expect((await controller.registry.device(device.id))?.state).toBe('approved');
  await using scratch = await Scratch.make();
  await scratch.write({ 'list.json': allowed.stdout, 'bad.json': '{"entries":[{}]}' });
  expect((await quickly(['device', 'allow', ekName, '--remove', ...state])).stdout).toContain('no endorsement key');
  expect((await quickly(['device', 'allow', ekName, '--remove', ...state])).code).toBe(3);
  expect((await quickly(['device', 'allow', scratch.path('list.json'), ...state])).stdout).toContain('line 3');
  expect((await quickly(['device', 'allow', scratch.path('bad.json'), ...state])).code).toBe(3);
  expect((await quickly(['device', 'allow', join('no', 'file'), ...state])).code).toBe(2);
  await bus[Symbol.asyncDispose]();
});
