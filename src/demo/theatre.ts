// What the demo's steps act with: a sandbox whose broker belongs to an attacker, and a publisher.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { goldenRuntime } from './golden.ts';
import { freePorts } from '../testing/free-ports.ts';
import { Sandbox } from '../testing/sandbox.ts';
import { makeStageTpm } from '../testing/stage-tpm.ts';
import type { StageTpm } from '../testing/stage-tpm.ts';
import type { Ran, Stage } from '../testing/stage.ts';

export const SLOT = 'detector';
export const MODEL_ID = 'demo-model';
const HARDWARE_CLASS = 'development';

/** The demo's own profile: everything happens within seconds, so that nobody waits. */
const PROFILE = {
  v: 1,
  id: 'demo',
  hardwareClass: HARDWARE_CLASS,
  tpm: { tcti: 'auto', bank: 'sha256', eventPcr: 14, bootPcrs: [0, 7], ownership: 'exclusive' },
  slots: [
    {
      name: SLOT,
      role: SLOT,
      modelIds: [MODEL_ID],
      configs: [],
      required: true,
      onFailure: 'stop',
      onLeaseExpired: 'stop',
      runtimeCommand: goldenRuntime(),
    },
  ],
  runtime: null,
  maxDetectionSeconds: 5,
  attestEverySeconds: 5,
  leaseSeconds: 60,
};

export class Theatre extends Sandbox {
  readonly #chip: StageTpm;
  readonly #ports: readonly [number, number, number];

  private constructor(stage: Stage, main: string, tpm: StageTpm, ports: readonly [number, number, number]) {
    super(stage, main);
    this.#chip = tpm;
    this.#ports = ports;
  }

  /** `main`: the binary's file, run by this Node. */
  static async open(stage: Stage, main: string): Promise<Theatre> {
    const tpm = await makeStageTpm(stage);
    const [fleet = 0, enrol = 0, hostile = 0] = await freePorts(3);
    return new Theatre(stage, main, tpm, [fleet, enrol, hostile]);
  }

  /** Where the broker's owner listens to everything, as no rule of its own forbids: the broker is trusted with nothing. */
  get brokerOwnerUrl(): string {
    return `mqtt://127.0.0.1:${this.#ports[2]}`;
  }

  get modelFile(): string {
    return this.modelFolder(SLOT);
  }

  override async startBroker(): Promise<void> {
    await super.startBroker(this.#ports[1]);
  }

  /** Keys, fleet.json, the files of controller and broker; and what this demo adds to them. `slot`: laid over the profile's slot. */
  async makeFleet(slot: object = {}): Promise<void> {
    const [fleetPort, enrolPort, hostilePort] = this.#ports;
    await this.must(
      'fleet',
      'init',
      '--out',
      this.stage.path('fleet'),
      '--model-id',
      MODEL_ID,
      '--broker-host',
      'localhost',
      '--bind',
      '127.0.0.1',
      '--fleet-port',
      String(fleetPort),
      '--enrol-port',
      String(enrolPort),
    );
    const profile = { ...PROFILE, slots: PROFILE.slots.map((one) => ({ ...one, ...slot })) };
    await writeFile(this.profile, `${JSON.stringify(profile, null, 2)}\n`);
    await writeFile(this.stage.path('fleet', 'controller', 'profiles', 'demo.json'), await readFile(this.profile));
    await this.insertTpm(this.#chip);
    const config = this.stage.path('fleet', 'broker', 'mosquitto.conf');
    const lines = [
      // Started by root, Mosquitto would become another user, who may not read this folder.
      `user ${userInfo().username}`,
      await readFile(config, 'utf8'),
      "# The demo's broker belongs to an attacker, who hears and says whatever he likes.",
      `listener ${hostilePort} 127.0.0.1`,
      'allow_anonymous true',
    ];
    await writeFile(config, `${lines.join('\n')}\n`);
  }

  /** A signed release of the model in `folder`, in the publisher's hands. Answers its id. */
  async makeRelease(
    name: string,
    options: {
      readonly version: string;
      readonly securityVersion: number;
      readonly role?: string;
      readonly healthCheck?: string;
    },
  ): Promise<string> {
    const { version, securityVersion, role = SLOT, healthCheck } = options;
    const out = this.stage.path('releases', name);
    await rm(out, { recursive: true, force: true });
    await mkdir(this.stage.path('releases'), { recursive: true });
    const ran = await this.must(
      'release',
      'make',
      this.stage.path('models', name),
      '--out',
      out,
      '--json',
      '--key',
      this.stage.path('fleet', 'publisher', 'publisher.key.pem'),
      '--model-id',
      MODEL_ID,
      '--release-version',
      version,
      '--security-version',
      String(securityVersion),
      '--slot-role',
      role,
      '--hardware-class',
      HARDWARE_CLASS,
      ...(healthCheck === undefined ? [] : ['--health-check', healthCheck]),
    );
    return (JSON.parse(ran.stdout) as { release: string }).release;
  }

  /** Options of a command that signs with a key of the fleet's root folder. */
  signs(key: string): string[] {
    return ['--fleet', this.stage.path('fleet', 'device'), '--key', this.stage.path('fleet', 'root', key)];
  }

  /** Signs what lets devices raise their floor to the release's security version, into its folder. */
  async raisesFloor(name: string): Promise<void> {
    const about = ['--release', this.stage.path('releases', name), '--profile', this.profile, '--slot', SLOT];
    await this.must('floor', 'token', ...about, ...this.signs('floor.key.pem'));
  }

  async addRelease(name: string): Promise<void> {
    await this.must('release', 'add', this.stage.path('releases', name), '--state', this.controllerState);
  }

  /** Asks the device to install; `from` says where it finds the files, by default the controller's own copy. */
  async upgrade(id: string, from?: string): Promise<Ran> {
    return this.upgradeSlot(id, { slot: SLOT, ...(from === undefined ? {} : { from }) });
  }
}
