// Everything that the demo's steps act with: a fleet in a folder, its broker, its controller, one device, and the command line.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TouchstoneError } from '../errors.ts';
import { makeStageTpm } from '../testing/stage-tpm.ts';
import type { StageTpm } from '../testing/stage-tpm.ts';
import { freePorts } from '../testing/free-ports.ts';
import type { Actor } from '../testing/actor.ts';
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
    },
  ],
  runtime: null,
  maxDetectionSeconds: 5,
  attestEverySeconds: 5,
  leaseSeconds: 60,
};

/** What `device show --json` says, as far as the steps look at it. */
export interface Shown {
  readonly device: {
    readonly id: string;
    readonly state: string;
    readonly verdict: {
      readonly status: string;
      readonly assurance: string;
      readonly at: number;
      readonly findings: readonly {
        readonly rule: string;
        readonly subject: string;
        readonly expected: string;
        readonly found: string;
      }[];
    } | null;
    readonly slots: readonly {
      readonly slot: string;
      readonly release: string | null;
      readonly version: string | null;
    }[];
  };
}

export class Theatre {
  readonly stage: Stage;
  readonly #main: string;
  readonly #tpm: StageTpm;
  readonly #ports: readonly [number, number, number];
  #swtpm: Actor | null = null;
  #agent: Actor | null = null;
  #controller: Actor | null = null;
  deviceId = '';

  private constructor(stage: Stage, main: string, tpm: StageTpm, ports: readonly [number, number, number]) {
    this.stage = stage;
    this.#main = main;
    this.#tpm = tpm;
    this.#ports = ports;
  }

  /** `main`: the binary's file, run by this Node. */
  static async open(stage: Stage, main: string): Promise<Theatre> {
    const tpm = await makeStageTpm(stage);
    const [fleet = 0, enrol = 0, hostile = 0] = await freePorts(3);
    return new Theatre(stage, resolve(main), tpm, [fleet, enrol, hostile]);
  }

  /** Where the broker's owner listens to everything, as no rule of its own forbids: the broker is trusted with nothing. */
  get brokerOwnerUrl(): string {
    return `mqtt://127.0.0.1:${this.#ports[2]}`;
  }

  get profile(): string {
    return this.stage.path('profile.json');
  }

  get controllerState(): string {
    return this.stage.path('fleet', 'controller');
  }

  get deviceState(): string {
    return this.stage.path('device');
  }

  get modelFile(): string {
    return this.stage.path('device', 'slots', SLOT, 'model');
  }

  #running(actor: Actor | null, name: string): Actor {
    if (actor === null) throw new TypeError(`${name} was not started`);
    return actor;
  }

  get agent(): Actor {
    return this.#running(this.#agent, 'agent');
  }

  get controller(): Actor {
    return this.#running(this.#controller, 'controller');
  }

  get swtpm(): Actor {
    return this.#running(this.#swtpm, 'swtpm');
  }

  /** Runs `touchstone ARGS`. */
  async cli(...args: readonly string[]): Promise<Ran> {
    return this.stage.run(process.execPath, [this.#main, ...args]);
  }

  /** The same, for what must succeed. Errors: what the command said. */
  async must(...args: readonly string[]): Promise<Ran> {
    const ran = await this.cli(...args);
    if (ran.code === 0) return ran;
    throw new TouchstoneError('CONTROL_REFUSED', `touchstone ${args[0] ?? ''} ended with ${ran.code}\n${ran.stderr}`);
  }

  async show(): Promise<Shown['device']> {
    const ran = await this.must('device', 'show', this.deviceId, '--state', this.controllerState, '--json');
    return (JSON.parse(ran.stdout) as Shown).device;
  }

  /** Asks for evidence until `wanted` is content with the newest verdict. Errors: CONTROL_UNAVAILABLE after `withinMs`, with the last one. */
  async until(what: string, wanted: (device: Shown['device']) => boolean, withinMs = 60_000): Promise<Shown['device']> {
    const end = performance.now() + withinMs;
    for (;;) {
      await this.cli('device', 'attest', this.deviceId, '--state', this.controllerState, '--timeout', '2');
      const device = await this.show();
      if (wanted(device)) return device;
      if (performance.now() > end) {
        throw new TouchstoneError(
          'CONTROL_UNAVAILABLE',
          `not seen in time: ${what}\n${JSON.stringify(device, null, 1)}`,
        );
      }
      await delay(200);
    }
  }

  /** Keys, fleet.json, the files of controller and broker; and what this demo adds to them. */
  async makeFleet(): Promise<void> {
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
    await writeFile(this.profile, `${JSON.stringify(PROFILE, null, 2)}\n`);
    await writeFile(this.stage.path('fleet', 'controller', 'profiles', 'demo.json'), await readFile(this.profile));
    const roots = this.stage.path('fleet', 'controller', 'ek-roots', 'software');
    for (const [index, file] of this.#tpm.caFiles.entries()) {
      await writeFile(`${roots}/${index}.pem`, await readFile(file));
    }
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

  async startBroker(): Promise<void> {
    const broker = this.stage.start('broker', 'mosquitto', [
      '-c',
      this.stage.path('fleet', 'broker', 'mosquitto.conf'),
    ]);
    // Mosquitto says nothing when it is ready: it is when it can be reached.
    const { connect } = await import('node:net');
    for (let tries = 0; tries < 100 && broker.running; tries += 1) {
      const reached = await new Promise<boolean>((settle) => {
        const socket = connect(this.#ports[0], '127.0.0.1');
        socket.once('connect', () => {
          socket.destroy();
          settle(true);
        });
        socket.once('error', () => {
          settle(false);
        });
      });
      if (reached) return;
      await delay(50);
    }
    throw new TouchstoneError('BUS_UNAVAILABLE', `the broker did not start:\n${broker.lines.join('\n')}`);
  }

  async startController(): Promise<void> {
    this.#controller = this.#start('controller', 'controller', '--state', this.controllerState);
    await this.#controller.says(/ready/);
  }

  #start(name: string, ...args: readonly string[]): Actor {
    return this.stage.start(name, process.execPath, [this.#main, ...args]);
  }

  async powerOn(): Promise<void> {
    this.#swtpm = await this.#tpm.start();
    await mkdir(this.deviceState, { recursive: true });
    this.#agent = this.#start(
      'agent',
      'agent',
      '--profile',
      this.profile,
      '--state',
      this.deviceState,
      '--fleet',
      this.stage.path('fleet', 'device'),
      '--tcti',
      this.#tpm.tcti,
    );
    const line = await this.#agent.says(/agent \S+ of device (\S+) started/);
    this.deviceId = /of device (\S+) started/.exec(line)?.[1] ?? '';
  }

  /** What a power cut does to a device: everything stops in the middle of whatever it did. */
  async cutPower(): Promise<void> {
    await Promise.all([this.agent.end('SIGKILL'), this.swtpm.end('SIGKILL')]);
  }

  /** A signed release of the model in `folder`, in the publisher's hands. Answers its id. */
  async makeRelease(
    name: string,
    options: { readonly version: string; readonly securityVersion: number; readonly role?: string },
  ): Promise<string> {
    const { version, securityVersion, role = SLOT } = options;
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
    );
    return (JSON.parse(ran.stdout) as { release: string }).release;
  }

  async addRelease(name: string): Promise<void> {
    await this.must('release', 'add', this.stage.path('releases', name), '--state', this.controllerState);
  }

  /** Asks the device to install; `from` says where it finds the files, by default the controller's own copy. */
  async upgrade(id: string, from?: string): Promise<Ran> {
    return this.cli(
      'upgrade',
      this.deviceId,
      '--release',
      id,
      '--slot',
      SLOT,
      '--state',
      this.controllerState,
      '--json',
      ...(from === undefined ? [] : ['--source', from]),
    );
  }
}
