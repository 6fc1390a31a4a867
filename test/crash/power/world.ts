// A fleet with one device whose floors are in its TPM, release 1 committed, and upgrades waiting; then everything at rest, as an image.
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SLOT, Theatre } from '../../../src/demo/theatre.ts';
import { SoftwareTpm } from '../../../src/testing/software-tpm.ts';
import type { Stage } from '../../../src/testing/stage.ts';
import { writeWeights } from '../../../src/demo/model-folder.ts';
import { readInstant } from './tpm-instants.ts';
import type { TpmInstant } from './tpm-instants.ts';

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname;

/** Releases by name; `ill` fails its health check. */
export const RELEASES = { one: 1, two: 2, ill: 1 } as const;
export type ReleaseName = keyof typeof RELEASES;

export interface World {
  readonly stage: Stage;
  readonly tpm: SoftwareTpm;
  readonly deviceId: string;
  readonly deviceState: string;
  readonly controllerState: string;
  readonly profile: string;
  readonly fleet: string;
  readonly brokerConfig: string;
  readonly brokerPorts: readonly number[];
  readonly ids: Readonly<Record<ReleaseName, string>>;
  /** What the device held when everything was stopped. */
  readonly rest: TpmInstant;
  readonly restFolder: string;
}

const WEIGHTS_BYTES = 20_000;

async function makeModel(stage: Stage, name: ReleaseName): Promise<void> {
  const dir = stage.path('models', name);
  await mkdir(join(dir, 'labels'), { recursive: true });
  await writeWeights(join(dir, 'weights.bin'), WEIGHTS_BYTES, name);
  await writeFile(join(dir, 'labels', 'labels.txt'), name === 'ill' ? 'nothing is right\n' : `road\nperson\n${name}\n`);
}

async function makeRelease(theatre: Theatre, name: ReleaseName): Promise<string> {
  const { stage } = theatre;
  await makeModel(stage, name);
  const securityVersion = RELEASES[name];
  const id = await theatre.makeRelease(name, { version: `1.0.${name.length}`, securityVersion });
  const signer = ['--fleet', stage.path('fleet/device'), '--key', stage.path('fleet/root', 'floor.key.pem')];
  const order = ['--release', stage.path('releases', name), '--profile', theatre.profile, '--slot', SLOT];
  await theatre.must('floor', 'token', ...order, ...signer);
  await theatre.addRelease(name);
  return id;
}

/** The first-write token of this device, and the start that takes it. */
async function giveFloors(theatre: Theatre): Promise<void> {
  const { stage, deviceState } = theatre;
  const signer = ['--fleet', stage.path('fleet/device'), '--key', stage.path('fleet/root', 'floor-recovery.key.pem')];
  const out = ['--out', join(deviceState, 'floor-first-token.json')];
  await theatre.must('floor', 'first-token', join(deviceState, 'floor-request.json'), ...out, ...signer);
  await theatre.cutPower();
  await theatre.powerOn();
  await theatre.agent.says(/the version floors are set/);
}

async function writeProfile(theatre: Theatre): Promise<void> {
  const profile = JSON.parse(await readFile(theatre.profile, 'utf8')) as { slots: object[] };
  const slots = profile.slots.map((slot) => ({
    ...slot,
    floor: 2,
    onLeaseExpired: 'continue',
    healthCommand: ['/bin/sh', '-c', '! grep -q nothing "$TOUCHSTONE_MODEL/labels/labels.txt"'],
  }));
  // An hour may lie between a cut and the start after it; no lease shall end meanwhile.
  const changed = { ...profile, slots, floorMaxStep: 4, leaseSeconds: 86_400, transfer: { plainHttp: true } };
  const text = JSON.stringify(changed);
  for (const file of [theatre.profile, theatre.stage.path('fleet/controller/profiles/demo.json')]) {
    await writeFile(file, text);
  }
}

function portsOf(brokerConfig: string): number[] {
  return [...readFileSync(brokerConfig, 'utf8').matchAll(/^listener (\d+)/gm)].map(([, port]) => Number(port));
}

/** Everything a case starts from. Takes some seconds: it is made by the real command line. */
export async function makeWorld(stage: Stage): Promise<World> {
  const theatre = await Theatre.open(stage, main);
  await mkdir(stage.path('models'), { recursive: true });
  await theatre.makeFleet();
  await writeProfile(theatre);
  await theatre.startBroker();
  await theatre.startController();
  await theatre.powerOn();
  const [, one, two, ill] = [
    await giveFloors(theatre),
    await makeRelease(theatre, 'one'),
    await makeRelease(theatre, 'two'),
    await makeRelease(theatre, 'ill'),
  ];
  await theatre.enrol();
  const ran = await theatre.upgrade(one);
  if (ran.code !== 0) throw new TypeError(`release 1 was not installed: ${ran.stdout}${ran.stderr}`);
  const committed = (): boolean => theatre.agent.lines.some((line) => /release \w+ committed/.test(line));
  if (!committed()) await theatre.agent.says(/release \w+ committed/);
  await theatre.until('its reports are acknowledged', ({ slots }) => slots.every(({ state }) => state === 'active'));
  await theatre.agent.end();
  const tpm = new SoftwareTpm(stage.path('tpm'), stage.path('tpm', 'sock'), []);
  const rest = readInstant(tpm, 0);
  await theatre.swtpm.end('SIGKILL');
  await theatre.controller.end();
  for (const actor of stage.actors) await actor.end('SIGKILL');
  const { deviceId, deviceState, controllerState, profile } = theatre;
  const restFolder = stage.path('rest');
  for (const [name, from] of [['device', deviceState] as const, ['controller', controllerState] as const]) {
    await rm(join(from, 'control.sock'), { force: true });
    await rm(join(from, 'status.sock'), { force: true });
    cpSync(from, join(restFolder, name), { recursive: true, verbatimSymlinks: true });
  }
  const brokerConfig = stage.path('fleet', 'broker', 'mosquitto.conf');
  return {
    stage,
    tpm,
    deviceId,
    deviceState,
    controllerState,
    profile,
    fleet: stage.path('fleet', 'device'),
    brokerConfig,
    brokerPorts: portsOf(brokerConfig),
    ids: { one, two, ill },
    rest: { ...rest, volatile: null },
    restFolder,
  };
}

/** Device and controller as they were when the world was made. */
export function putBackDisks({ restFolder, deviceState, controllerState }: World): void {
  for (const [name, to] of [['device', deviceState] as const, ['controller', controllerState] as const]) {
    rmSync(to, { recursive: true, force: true });
    cpSync(join(restFolder, name), to, { recursive: true, verbatimSymlinks: true });
  }
}
