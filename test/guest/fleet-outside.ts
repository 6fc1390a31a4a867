// What stands outside of the guest: a fleet, its broker and its controller, and the operator's commands.
import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeviceDetail, DeviceView } from '../../src/controller/views.ts';
import { Stage } from '../../src/testing/stage.ts';
import type { Actor } from '../../src/testing/actor.ts';
import type { Ran } from '../../src/testing/stage.ts';
import { ROOT } from '../bench/built.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet, TEST_PROFILE } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import type { MadeTpm } from './maker.ts';

/** Every PCR that firmware, kernel and boot loader extend before the first program runs; 8 stays empty without a boot loader. */
export const GUEST_PROFILE: typeof TEST_PROFILE = {
  ...TEST_PROFILE,
  id: 'guest-edge',
  tpm: { ...TEST_PROFILE.tpm, bootPcrs: [0, 1, 2, 3, 4, 5, 6, 7, 9], ownership: 'exclusive' },
  maxDetectionSeconds: 30,
};

/** In the image once, so that the test can find it. */
export const IMAGE_LABEL = 'the image as its owner made it';

const MAIN = join(ROOT, 'src', 'cli', 'main.ts');
const WAIT_MS = 300_000;

export class FleetOutside implements AsyncDisposable {
  readonly fleet: TestFleet;
  readonly release: TestRelease;
  readonly #stage: Stage;
  readonly #broker: TestBroker;
  readonly #controller: Actor;

  private constructor(parts: {
    fleet: TestFleet;
    release: TestRelease;
    stage: Stage;
    broker: TestBroker;
    controller: Actor;
  }) {
    this.fleet = parts.fleet;
    this.release = parts.release;
    this.#stage = parts.stage;
    this.#broker = parts.broker;
    this.#controller = parts.controller;
  }

  /** Trusts the maker of `tpm` as one of hardware. */
  static async open(tpm: MadeTpm): Promise<FleetOutside> {
    // The guest knows this machine under another address, so both call it by a name.
    const fleet = await makeTestFleet({ profile: GUEST_PROFILE, brokerHost: 'localhost' });
    const roots = join(fleet.controllerDir, 'ek-roots');
    await copyFile(tpm.root, join(roots, 'hardware', 'maker.pem'));
    await copyFile(tpm.intermediate, join(roots, 'intermediates', 'maker.pem'));
    const release = await fleet.release({
      files: { 'model.bin': 'weights '.repeat(5000), 'labels.txt': 'cat\ndog\n' },
    });
    const broker = await fleet.startBroker();
    const stage = await Stage.open();
    const controller = stage.start('controller', process.execPath, [
      MAIN,
      'controller',
      '--state',
      fleet.controllerDir,
    ]);
    const outside = new FleetOutside({ fleet, release, stage, broker, controller });
    try {
      await controller.says(/is ready/);
    } catch (error) {
      await outside[Symbol.asyncDispose]();
      throw error;
    }
    return outside;
  }

  /** What the controller printed. */
  get said(): string {
    return this.#controller.lines.join('\n');
  }

  async cli(...args: readonly string[]): Promise<Ran> {
    return this.#stage.run(process.execPath, [MAIN, ...args, '--state', this.fleet.controllerDir]);
  }

  /** The one device, as operators see it; null before it asked to enrol. */
  async device(): Promise<DeviceDetail | null> {
    const listed = await this.cli('device', 'list', '--json');
    if (listed.code !== 0) throw new Error(`${listed.stderr}\nthe controller said:\n${this.said.slice(-3000)}`);
    const [first] = (JSON.parse(listed.stdout) as { devices: DeviceView[] }).devices;
    if (first === undefined) return null;
    const shown = await this.cli('device', 'show', first.id, '--json');
    return (JSON.parse(shown.stdout) as { device: DeviceDetail }).device;
  }

  /** Looks, and asks for evidence, until `wanted`. Errors: Error with the last that was seen. */
  async until(what: string, wanted: (device: DeviceDetail) => boolean, attest = true): Promise<DeviceDetail> {
    const end = performance.now() + WAIT_MS;
    for (;;) {
      const device = await this.device();
      if (device !== null && wanted(device)) return device;
      if (performance.now() > end) {
        throw new Error(
          `not seen: ${what}\n${JSON.stringify(device, null, 1).slice(0, 6000)}\n${this.said.slice(-3000)}`,
        );
      }
      if (attest && device?.state === 'approved') await this.cli('device', 'attest', device.id, '--timeout', '10');
      await sleep(500);
    }
  }

  /** The verdict and its reasons as an operator reads them. */
  async explanation(device: DeviceDetail): Promise<string> {
    return (await this.cli('device', 'show', device.id)).stdout;
  }

  /** Files of the device's image: the fleet, its profile, and a release that waits to be installed. */
  async deviceFiles(): Promise<Map<string, Uint8Array | string>> {
    const files = new Map<string, Uint8Array | string>([
      ['/etc/hosts', '10.0.2.2 localhost\n'],
      ['/etc/nsswitch.conf', 'hosts: files\n'],
      ['/etc/image', IMAGE_LABEL],
    ]);
    const add = async (from: string, to: string): Promise<void> => {
      for (const entry of await readdir(from, { withFileTypes: true })) {
        const [path, inside] = [join(from, entry.name), join(to, entry.name)];
        if (entry.isDirectory()) await add(path, inside);
        else files.set(inside, await readFile(path));
      }
    };
    await add(this.fleet.deviceDir, '/etc/touchstone');
    await add(this.release.folder, '/srv/release');
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stage[Symbol.asyncDispose]();
    await this.#broker[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }
}
