// Version floors in the TPM, on the real parts: given once, raised by tokens alone, and what is below is never loaded again.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import { SLOT, Theatre } from '../../src/demo/theatre.ts';
import type { ShownDevice } from '../../src/testing/device-words.ts';
import { Stage } from '../../src/testing/stage.ts';
import { clear } from '../../src/tpm/commands/hierarchy.ts';
import { nvReadPublic, nvUndefine } from '../../src/tpm/commands/nv.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { HierarchyAuths } from '../../src/tpm/hierarchy-auth.ts';
import { withAuth } from '../../src/tpm/hierarchy-auth.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { ownershipValues } from '../../src/agent/tpm-ownership.ts';
import { changeProfile } from '../support/enrolled-theatre.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const HARD = { timeout: 180_000 };

let stage: Stage;
let theatre: Theatre;

const signedBy = (key: string): string[] => [
  '--fleet',
  stage.path('fleet/device'),
  '--key',
  stage.path('fleet/root', key),
];

async function release(name: string, securityVersion: number): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version: '1.0.0', weights: null });
  const id = await theatre.makeRelease(name, { version: `1.0.${name}`, securityVersion });
  await theatre.addRelease(name);
  return id;
}

async function token(name: string, ...more: string[]): Promise<void> {
  const file = stage.path('releases', name, 'floor-token.json');
  await rm(file, { force: true });
  const order = ['--release', stage.path('releases', name), '--profile', theatre.profile, '--slot', SLOT];
  await theatre.must('floor', 'token', ...order, ...signedBy('floor.key.pem'), ...more);
  await theatre.addRelease(name);
}

/** A disk as it is, but for sockets, which are on no disk. */
async function image(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.sock') });
}

const hasRule = (verdict: ShownDevice['verdict'], rule: string): boolean =>
  verdict?.findings.some((finding) => finding.rule === rule) ?? false;

/** The token of this device for the request in this file, made where the recovery key is. */
async function tokenFor(command: 'first-token' | 'recover', asked: string, ...more: string[]): Promise<string> {
  const out = `${asked}.token`;
  await theatre.must('floor', command, asked, '--out', out, ...signedBy('floor-recovery.key.pem'), ...more);
  return out;
}

const atController = (): string[] => ['--state', theatre.controllerState];

/** What the device asks with, as its controller writes it down. */
async function request(name: string): Promise<string> {
  const file = stage.path(name);
  await theatre.must('floor', 'request', theatre.deviceId, '--out', file, ...atController());
  return file;
}

/** What programs on the device hear: the exit code, and the floor of the slot. */
async function floorOnDevice(): Promise<[number | null, number | null | undefined]> {
  const { code, stdout } = await theatre.cli('status', SLOT, '--state', theatre.deviceState, '--json');
  const [slot] = (JSON.parse(stdout) as { slots: { floor?: number | null }[] }).slots;
  return [code, slot?.floor];
}

beforeAll(async () => {
  stage = await Stage.open();
  theatre = await Theatre.open(stage, main);
  await mkdir(stage.path('models'), { recursive: true });
  await theatre.makeFleet();
  await changeProfile({ stage, theatre }, (profile) => ({
    ...profile,
    floorMaxStep: 4,
    slots: profile.slots.map((slot) => ({ ...slot, floor: 2 })),
  }));
  await theatre.startBroker();
  await theatre.startController();
  await theatre.powerOn();
  await theatre.agent.says(/the version floors are unwritten: nothing can be loaded/);
  await theatre.controller.says(/asks to enrol/);
  await theatre.must('device', 'approve', theatre.deviceId, ...atController());
  await theatre.agent.says(/answering challenges/);
  await theatre.until('it asks for floors', ({ verdict }) => hasRule(verdict, 'floor-missing'));
  const first = await tokenFor('first-token', await request('first.json'));
  await theatre.must('floor', 'give', theatre.deviceId, '--token-file', first, ...atController());
  await theatre.agent.says(/the version floors are set: 0, 0, 0, 0, 0, 0, 0, 0/);
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test(
  'a floor rises only with a release that brings its token, and an older disk brings nothing below it back',
  HARD,
  async () => {
    const one = await release('1', 1);
    const without = await theatre.upgrade(one);
    expect([without.code, without.stdout]).toEqual([1, expect.stringContaining('release-floor-token')]);
    expect(without.stdout).toContain('no-token');
    await token('1');
    expect((await theatre.upgrade(one)).code).toBe(0);
    await theatre.agent.says(/the version floor of slot detector is 1/);

    await theatre.cutPower();
    await image(theatre.deviceState, stage.path('yesterday'));
    await theatre.powerOn();
    const two = await release('2', 2);
    await token('2');
    expect((await theatre.upgrade(two)).code).toBe(0);
    await theatre.agent.says(/the version floor of slot detector is 2/);

    // Whoever stole the publisher's key signs as high as there is; a token of the floor key with a long step helps him no further.
    const evil = await release('evil', Number.MAX_SAFE_INTEGER);
    expect((await theatre.upgrade(evil)).stdout).toContain('release-floor-token');
    await token('evil', '--max-step', '1000000');
    const far = await theatre.upgrade(evil);
    expect([far.code, far.stdout]).toEqual([1, expect.stringContaining('step-above-limit, floor-too-far')]);

    // Yesterday's disk under today's TPM.
    await theatre.cutPower();
    await rm(theatre.deviceState, { recursive: true });
    await image(stage.path('yesterday'), theatre.deviceState);
    await theatre.powerOn();
    await theatre.agent.says(/answering challenges/);
    expect((await theatre.cli('status', SLOT, '--state', theatre.deviceState)).code).toBe(1);
    const seen = await theatre.until('nothing is loaded', ({ slots }) => slots.every((slot) => slot.release === null));
    expect(seen.verdict?.findings.map((finding) => finding.rule)).toContain('slot-empty');
    const { stdout: shown } = await theatre.must(
      'device',
      'show',
      theatre.deviceId,
      '--state',
      theatre.controllerState,
      '--json',
    );
    const { device } = JSON.parse(shown) as {
      device: { floors: object[]; floorsCertified: boolean; verdict: { findings: { rule: string }[] } };
    };
    expect(device).toMatchObject({ floors: [{ slot: SLOT, floor: 2 }], floorsCertified: true });
    expect(device.verdict.findings.filter(({ rule }) => rule.startsWith('floor-'))).toEqual([]);
    expect((await theatre.upgrade(one)).stdout).toContain('release-older');
    expect((await theatre.upgrade(two)).code).toBe(0);
    expect(await floorOnDevice()).toEqual([0, 2]);
  },
);

/** What whoever owns the TPM can do while no agent runs. */
async function asOwner(work: (device: DeviceTpm, auths: Required<HierarchyAuths>) => Promise<void>): Promise<void> {
  const auths = await ownershipValues(`${theatre.deviceState}/tpm-auth.json`, false);
  if (auths === null) throw new TypeError('the device owns its TPM');
  const path = theatre.tcti.replace('swtpm:path=', '');
  await using device = await openDeviceTpm({ transport: await openSocketTransport({ path }), auths });
  await work(device, auths);
}

const deleteFloors = async (): Promise<void> =>
  asOwner(async ({ queue }, { owner }) => {
    const index = await nvReadPublic(queue, 0x01820a54);
    await withAuth(queue, owner, async (auth) => nvUndefine(queue, index, auth));
  });

test(
  'floors that were deleted come back by a token of the recovery key, at what they were, while the agent runs',
  HARD,
  async () => {
    await theatre.agent.end('SIGKILL');
    await deleteFloors();
    await theatre.cutPower();
    await theatre.powerOn();
    await theatre.until('the floor is missed', ({ verdict }) => hasRule(verdict, 'floor-missing'));
    const gone = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
    expect([gone.code, gone.stdout]).toEqual([1, expect.stringContaining('the version floor of this TPM cannot be')]);
    expect(await floorOnDevice()).toEqual([1, null]);
    const file = await request('again.json');
    const { stdout: shown } = await theatre.must('device', 'show', theatre.deviceId, ...atController());
    expect(shown).toContain('asks for its version floors: touchstone floor request');

    const [other, ours] = [
      stage.path('other.json'),
      await tokenFor('recover', file, '--profile', theatre.profile, '--at', `${SLOT}=2`),
    ];
    await writeFile(other, (await readFile(file, 'utf8')).replace(/"generation": "\d+"/, '"generation": "77"'));
    const wrong = await theatre.cli(
      'floor',
      'give',
      theatre.deviceId,
      '--token-file',
      await tokenFor('first-token', other),
      ...atController(),
    );
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('is not the token for what')]);

    await theatre.must('floor', 'give', theatre.deviceId, '--token-file', ours, ...atController());
    await theatre.until('the slot is loaded again', ({ slots }) => slots.every((slot) => slot.release !== null));
    expect(await floorOnDevice()).toEqual([0, 2]);
    const twice = await theatre.cli('floor', 'give', theatre.deviceId, '--token-file', ours, ...atController());
    expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('has not asked for version floors')]);
  },
);

test(
  'a device whose TPM was cleared keeps id, label and history: it is contraindicated by name until it is approved, and its floors come back',
  HARD,
  async () => {
    await theatre.must('device', 'label', theatre.deviceId, 'gate 4', ...atController());
    await theatre.agent.end('SIGKILL');
    await asOwner(async ({ queue }, { lockout }) => {
      await using session = await startSession(queue);
      await clear(queue, session.use({ auth: lockout, authAfter: Buffer.alloc(0) }));
    });
    await theatre.cutPower();
    await theatre.powerOn();
    await theatre.agent.says(/the TPM of this device was cleared/);
    await theatre.agent.says(/set the auth values of the TPM's hierarchies: owner, endorsement, lockout/);
    const cleared = await theatre.until('it is said', ({ verdict }) => hasRule(verdict, 'tpm-cleared'));
    expect(cleared.verdict?.status).toBe('contraindicated');
    expect(cleared.verdict?.findings.map(({ rule }) => rule)).toEqual(expect.arrayContaining(['floor-missing']));
    expect(hasRule(cleared.verdict, 'tpm-cleared-or-replaced')).toBe(false);
    expect((await floorOnDevice())[0]).toBe(1);

    await theatre.must('device', 'approve', 'gate 4', ...atController());
    await theatre.until('it is accepted', ({ verdict }) => verdict !== null && !hasRule(verdict, 'tpm-cleared'));
    const back = await tokenFor(
      'recover',
      await request('cleared.json'),
      '--profile',
      theatre.profile,
      '--at',
      `${SLOT}=2`,
    );
    await theatre.must('floor', 'give', theatre.deviceId, '--token-file', back, ...atController());
    await theatre.until(
      'the slot is loaded again',
      ({ slots, verdict }) => slots.every((slot) => slot.release !== null) && !hasRule(verdict, 'floor-missing'),
    );
    expect(await floorOnDevice()).toEqual([0, 2]);
    const { stdout } = await theatre.must('device', 'show', 'gate 4', ...atController());
    expect(stdout).toContain(theatre.deviceId);
    expect(stdout).toContain('tpm-cleared');
    expect(stdout).toContain("its TPM's history begins anew");
  },
);
