// One device in a fleet of its own on this machine, for tests: install on it, tamper with it, cut its power, ask what it proves.
import { mkdir, readFile } from 'node:fs/promises';
import { toUtf8 } from '../bytes/text.ts';
import { importPrivateKey } from '../crypto/ecdsa.ts';
import { loadProfile } from '../profile/profile.ts';
import type { Profile, SlotProfile } from '../profile/profile.ts';
import { upgradeEnd } from './device-words.ts';
import type { ShownDevice, UpgradeEnd } from './device-words.ts';
import { touchstoneBinary } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import type { Ran } from './stage.ts';
import { Stage } from './stage.ts';
import { startSandbox } from './start-sandbox.ts';
import { tamperWith } from './tamper.ts';
import type { Tampered } from './tamper.ts';
import { makeTestRelease } from './test-release.ts';
import type { ReleaseOptions, TestRelease } from './test-release.ts';

/** One slot `detector` for `demo-model`, and times so short that no test waits for them. */
export const TESTING_PROFILE: Profile = {
  v: 1,
  id: 'testing',
  hardwareClass: 'development',
  tpm: { tcti: 'auto', bank: 'sha256', eventPcr: 14, bootPcrs: [0, 7], ownership: 'exclusive' },
  slots: [
    {
      name: 'detector',
      role: 'detector',
      modelIds: ['demo-model'],
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

/** Where a release goes, and where the device gets it. */
export interface InstallOptions {
  /** By default the profile's first. */
  readonly slot?: string;
  /** A folder from which the device takes the files, past the fleet's own copy: what an attacker would offer it. */
  readonly from?: string;
}

/** What a program on the device may do with a slot: `ready`, `degraded` or `stopped`, and why. */
export interface SlotAnswer {
  readonly use: string;
  readonly why: string;
}

/** See `enrolledDevice`. Errors of all methods: TouchstoneError with what the command line said. */
export class EnrolledDevice implements AsyncDisposable {
  /** The processes and folders behind it. */
  readonly sandbox: Sandbox;
  readonly profile: Profile;
  #releases = 0;

  constructor(sandbox: Sandbox, profile: Profile) {
    this.sandbox = sandbox;
    this.profile = profile;
  }

  get id(): string {
    return this.sandbox.deviceId;
  }

  #slot(name?: string): SlotProfile {
    const { slots } = this.profile;
    const found = name === undefined ? slots[0] : slots.find((slot) => slot.name === name);
    if (found === undefined) throw new RangeError(`the profile has no slot ${name ?? ''}`);
    return found;
  }

  /** Makes a release for `slot`, signed by the fleet's publisher. It is not published yet. */
  async release(options: ReleaseOptions & { readonly slot?: string } = {}): Promise<TestRelease> {
    this.#releases += 1;
    const dir = this.sandbox.stage.path('releases', String(this.#releases));
    await mkdir(dir, { recursive: true });
    const key = importPrivateKey(
      await readFile(this.sandbox.stage.path('fleet', 'publisher', 'publisher.key.pem'), 'utf8'),
    );
    const { role, modelIds } = this.#slot(options.slot);
    const { hardwareClass } = this.profile;
    return makeTestRelease({ dir, key, modelId: modelIds[0] ?? '', slotRole: role, hardwareClass }, options);
  }

  /** Publishes the release and installs it: follows to the attested end. A refusal is an end too, with its rule. */
  async install(release: TestRelease, { slot, from }: InstallOptions = {}): Promise<UpgradeEnd> {
    const published = await this.sandbox.publish(release.folder);
    if (published.code !== 0) {
      const { findings = [] } = JSON.parse(published.stdout) as {
        findings?: readonly { rule: string; found: string }[];
      };
      const [first] = findings;
      return { end: 'refused', rule: first?.rule ?? null, detail: first?.found ?? published.stderr };
    }
    const where = { slot: this.#slot(slot).name, ...(from === undefined ? {} : { from }) };
    return upgradeEnd(await this.sandbox.upgradeSlot(release.id, where));
  }

  /** Asks for evidence until `wanted` is content with the verdict; without it, for one fresh verdict. */
  async attest(wanted?: (device: ShownDevice) => boolean, what = 'the wanted verdict'): Promise<ShownDevice> {
    const before = (await this.sandbox.show()).verdict?.at ?? 0;
    return this.sandbox.until(what, (device) => wanted?.(device) ?? (device.verdict?.at ?? 0) > before);
  }

  /** What `touchstone status` says on the device. */
  async status(slot?: string): Promise<SlotAnswer> {
    const args = [this.#slot(slot).name, '--state', this.sandbox.deviceState, '--json'];
    const { stdout } = await this.sandbox.cli('status', ...args);
    const { slots } = JSON.parse(stdout) as { slots: readonly SlotAnswer[] };
    return { use: slots[0]?.use ?? 'stopped', why: slots[0]?.why ?? '' };
  }

  /** Changes one bit of the model in a slot, as root on the device could. `path`: in the model; by default its smallest file. */
  async tamper(options: { readonly slot?: string; readonly path?: string } = {}): Promise<Tampered> {
    return tamperWith(this.sandbox.modelFolder(this.#slot(options.slot).name), options.path);
  }

  /** Agent and TPM stop in the middle of whatever they do. */
  async cutPower(): Promise<void> {
    await this.sandbox.cutPower();
  }

  async powerOn(): Promise<void> {
    await this.sandbox.powerOn();
  }

  /** Runs `touchstone ARGS` on this machine. */
  async touchstone(...args: readonly string[]): Promise<Ran> {
    return this.sandbox.cli(...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox.stage[Symbol.asyncDispose]();
  }
}

/**
 * Starts a software TPM, a broker, a controller and an agent, and lets the agent into the fleet: some seconds. Everything lies in one
 * temporary folder and is gone after disposal, or when the process ends. Errors: CONFIG_MISSING, TPM_UNAVAILABLE and BUS_UNAVAILABLE
 * when swtpm, swtpm-tools or mosquitto is not installed.
 */
export async function enrolledDevice(options: { readonly profile?: Profile } = {}): Promise<EnrolledDevice> {
  const profileBytes = toUtf8(`${JSON.stringify(options.profile ?? TESTING_PROFILE, null, 2)}\n`);
  const profile = loadProfile(profileBytes, 'the profile of the test');
  const stage = await Stage.open();
  try {
    const plan = { main: touchstoneBinary(), profile, profileBytes, signers: null };
    const { sandbox, enrolled } = await startSandbox(stage, plan);
    await enrolled;
    return new EnrolledDevice(sandbox, profile.profile);
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}
