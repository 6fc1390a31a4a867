// A controller in this process with its real registry and real MQTT, as the binary wires it, and the means to ask it things.
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import { Controller } from '../../src/controller/controller.ts';
import { CONTROLLER_NAME } from '../../src/controller/broker-config.ts';
import { openRegistry } from '../../src/controller/open-registry.ts';
import type { Rates } from '../../src/controller/post-room.ts';
import type { DeviceRow, Registry } from '../../src/controller/registry.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import type { TestFleet } from './fleet.ts';

export interface ControllerOptions {
  /** Name in the client certificate, of those that the broker knows as controllers. */
  readonly name?: string;
  /** Name of the control socket's folder is the fleet's; a second controller has none of its own. */
  readonly stateDir?: string;
  readonly clock?: Clock;
  readonly rates?: Rates;
  /** What it has for a bus, over the real one. */
  readonly over?: (bus: Bus) => Bus;
}

export class RunningController implements AsyncDisposable {
  readonly controller: Controller;
  readonly registry: Registry;
  readonly bus: Bus;
  readonly lines: string[];
  readonly #stop: AbortController;
  readonly #run: Promise<void>;

  constructor(
    parts: Pick<RunningController, 'controller' | 'registry' | 'bus' | 'lines'>,
    stop: AbortController,
    run: Promise<void>,
  ) {
    this.controller = parts.controller;
    this.registry = parts.registry;
    this.bus = parts.bus;
    this.lines = parts.lines;
    this.#stop = stop;
    this.#run = run;
  }

  /** Waits until the device's row is as wanted. */
  async until(id: string, wanted: (device: DeviceRow) => boolean): Promise<DeviceRow> {
    for (;;) {
      const device = await this.registry.device(id);
      if (device !== null && wanted(device)) return device;
      await systemClock.sleep(5);
    }
  }

  /** Stops it cleanly. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#run;
    await this.bus[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}

/** Starts a controller on the fleet's state directory; resolves when it is ready. */
export async function startController(fleet: TestFleet, options: ControllerOptions = {}): Promise<RunningController> {
  const { name = CONTROLLER_NAME, clock = systemClock, over = (bus: Bus): Bus => bus } = options;
  const settings = loadSettings(fleet.controllerDir, Date.now());
  const registry = await openRegistry(settings);
  const bus = await connectMqttBus({
    url: fleet.url,
    caPem: fleet.caPem,
    ...fleet.clientCertificate(name),
    clientId: name,
  });
  const lines: string[] = [];
  const controller = new Controller({
    settings: { ...settings, stateDir: options.stateDir ?? settings.stateDir },
    registry,
    bus: over(bus),
    clock,
    log: { write: (level, event, message) => lines.push(`${level} ${event}: ${message}`) },
    random: Math.random,
    ...(options.rates === undefined ? {} : { rates: options.rates }),
  });
  const stop = new AbortController();
  return new Promise((resolve, reject) => {
    const run = controller.run(stop.signal, () => {
      resolve(new RunningController({ controller, registry, bus, lines }, stop, run));
    });
    run.catch(reject);
  });
}
