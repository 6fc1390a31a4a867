// A fleet with one device on a stage: broker, controller, software TPM and agent, each a real process of the real command line.
import { constants } from 'node:fs';
import { cp, mkdir, readFile, rename, watch, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askController } from '../controller/control-client.ts';
import { TouchstoneError } from '../errors.ts';
import { removeTree } from '../files/durable.ts';
import type { Actor } from './actor.ts';
import type { ShownDevice } from './device-words.ts';
import { isOurBroker } from './reaching-broker.ts';
import type { Ran, Stage } from './stage.ts';
import type { StageTpm } from './stage-tpm.ts';

/** The binary beside this room: another process, not an import. */
export function touchstoneBinary(): string {
  const here = fileURLToPath(import.meta.url);
  return join(dirname(here), '..', 'cli', `main${extname(here)}`);
}

export interface UpgradeOptions {
  readonly slot: string;
  /** Where the device finds the files; by default the controller's own copy. */
  readonly from?: string;
}

export class Sandbox {
  readonly stage: Stage;
  readonly #main: string;
  #tpm: StageTpm | null = null;
  #swtpm: Actor | null = null;
  #agent: Actor | null = null;
  #controller: Actor | null = null;
  /** Known once the agent has started. */
  deviceId = '';

  /** `main`: the binary's file, run by this Node. */
  constructor(stage: Stage, main: string) {
    this.stage = stage;
    this.#main = resolve(main);
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

  get tcti(): string {
    return this.#chip.tcti;
  }

  get #chip(): StageTpm {
    if (this.#tpm === null) throw new TypeError('the device has no TPM yet');
    return this.#tpm;
  }

  /** The model folder in a slot of the device. */
  modelFolder(slot: string): string {
    return join(this.deviceState, 'slots', slot, 'model');
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
    const name = args[0] ?? '';
    throw new TouchstoneError(
      'CONTROL_REFUSED',
      `touchstone ${name} ended with ${ran.code ?? 'a signal'}\n${ran.stderr}`,
    );
  }

  /** The controller's word on the device, asked where `touchstone device` asks: a process for each question would cost more than all answers. */
  async #ask(action: 'show' | 'attest', body: object): Promise<ShownDevice> {
    const answer = await askController(this.controllerState, action, { device: this.deviceId, ...body });
    return (answer as { device: ShownDevice }).device;
  }

  async show(): Promise<ShownDevice> {
    return this.#ask('show', {});
  }

  /** Asks for evidence until `wanted` is content with the newest verdict. Errors: CONTROL_UNAVAILABLE after `withinMs`, with the last one. */
  async until(what: string, wanted: (device: ShownDevice) => boolean, withinMs = 60_000): Promise<ShownDevice> {
    let last = 'no answer';
    for (const end = performance.now() + withinMs; performance.now() <= end; await delay(50)) {
      this.stage.signal.throwIfAborted();
      try {
        const device = await this.#ask('attest', { waitMs: 2000 });
        if (wanted(device)) return device;
        last = JSON.stringify(device, null, 1);
      } catch (error) {
        if (!(error instanceof TouchstoneError)) throw error;
        last = error.message;
      }
    }
    throw new TouchstoneError('CONTROL_UNAVAILABLE', `not seen in time: ${what}\n${last}`);
  }

  /** The device gets this TPM, and the fleet believes its maker. */
  async insertTpm(tpm: StageTpm): Promise<void> {
    this.#tpm = tpm;
    const roots = this.stage.path('fleet', 'controller', 'ek-roots', 'software');
    for (const [index, file] of tpm.caFiles.entries()) {
      await writeFile(join(roots, `${index}.pem`), await readFile(file));
    }
  }

  /** Starts Mosquitto as the fleet's folder says. Errors: BUS_UNAVAILABLE, also when another program has the port. */
  async startBroker(enrolPort: number): Promise<void> {
    const broker = this.stage.start('broker', 'mosquitto', [
      '-c',
      this.stage.path('fleet', 'broker', 'mosquitto.conf'),
    ]);
    const ca = await readFile(this.stage.path('fleet', 'controller', 'ca.pem'), 'utf8');
    // Mosquitto says nothing when it is ready: it is when it can be reached.
    for (let tries = 0; tries < 300 && broker.running; tries += 1) {
      if (await isOurBroker(enrolPort, ca)) return;
      await delay(20);
    }
    await broker.end('SIGKILL');
    throw new TouchstoneError('BUS_UNAVAILABLE', `the broker did not start:\n${broker.lines.join('\n')}`);
  }

  async startController(): Promise<void> {
    this.#controller = this.#start('controller', 'controller', '--state', this.controllerState);
    await this.#controller.says(/ready/);
  }

  #start(name: string, ...args: readonly string[]): Actor {
    return this.stage.start(name, process.execPath, [this.#main, ...args]);
  }

  /** TPM on, agent started: resolves when it has measured itself. */
  async powerOn(): Promise<void> {
    this.#swtpm = await this.#chip.start();
    await mkdir(this.deviceState, { recursive: true });
    const args = ['--profile', this.profile, '--state', this.deviceState, '--tcti', this.tcti];
    this.#agent = this.#start('agent', 'agent', ...args, '--fleet', this.stage.path('fleet', 'device'));
    const line = await this.#agent.says(/agent \S+ of device (\S+) started/);
    this.deviceId = /of device (\S+) started/.exec(line)?.[1] ?? '';
  }

  /** What a power cut does to a device: everything stops in the middle of whatever it did. */
  async cutPower(): Promise<void> {
    await Promise.all([this.agent.end('SIGKILL'), this.swtpm.end('SIGKILL')]);
  }

  /** The network is gone: neither of the two hears anything of the other any more. */
  async cutNetwork(): Promise<void> {
    for (const actor of this.stage.actors) if (actor.name === 'broker') await actor.end('SIGKILL');
  }

  /** Copies the device's disk as it is at this instant; the device goes on afterwards. */
  async copyDisk(): Promise<void> {
    const copy = this.stage.path('disk-copy');
    await removeTree(copy);
    this.agent.suspend();
    try {
      // Sockets are on no disk.
      const filter = (path: string): boolean => !path.endsWith('.sock');
      await cp(this.deviceState, copy, {
        recursive: true,
        verbatimSymlinks: true,
        filter,
        mode: constants.COPYFILE_FICLONE,
      });
    } finally {
      this.agent.resume();
    }
  }

  /** Cuts the device's power and puts the copied disk in the place of its own; it is off afterwards, its TPM as it was. */
  async putDiskBack(): Promise<void> {
    await this.cutPower();
    await removeTree(this.deviceState);
    await rename(this.stage.path('disk-copy'), this.deviceState);
  }

  /** The device asks to join, and the operator lets it. */
  async enrol(): Promise<void> {
    await this.controller.says(/asks to enrol/);
    await this.must('device', 'approve', this.deviceId, '--state', this.controllerState);
    await this.agent.says(/answering challenges/);
  }

  /** Gives the device the command to install a release, and does not wait for what it does with it. The command's id. */
  async giveUpgrade(release: string, { slot }: UpgradeOptions): Promise<string> {
    const body = { devices: [this.deviceId], release, slot, source: null };
    const { upgrades } = (await askController(this.controllerState, 'upgrade', body)) as {
      upgrades: readonly { command: string }[];
    };
    return upgrades[0]?.command ?? '';
  }

  /** Asks the device to install a release that the controller has. */
  async upgradeSlot(release: string, { slot, from }: UpgradeOptions): Promise<Ran> {
    const source = from === undefined ? [] : ['--source', from];
    const state = ['--state', this.controllerState, '--json'];
    return this.cli('upgrade', this.deviceId, '--release', release, '--slot', slot, ...state, ...source);
  }

  /** The same, back as soon as the device has begun to copy the release, or has refused it; `ended`: how it ended. */
  async beginUpgrade(release: string, options: UpgradeOptions): Promise<{ readonly ended: Promise<Ran> }> {
    const enough = new AbortController();
    const begins = async (): Promise<void> => {
      for await (const { filename } of watch(join(this.deviceState, 'releases'), { signal: enough.signal })) {
        if (filename?.startsWith('.staging-') === true) return;
      }
    };
    const begun = begins().catch(() => undefined);
    const ended = this.upgradeSlot(release, options);
    await Promise.race([begun, ended]);
    enough.abort();
    return { ended };
  }

  /** Takes the release in FOLDER among those of the fleet. */
  async publish(folder: string): Promise<Ran> {
    return this.cli('release', 'add', folder, '--state', this.controllerState, '--json');
  }
}
