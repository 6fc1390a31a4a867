// One life of a device and its fleet in this process: real broker and TPM as children, controller and agent as the binary wires them.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Components } from '../../../src/cel/events.ts';
import { runAgent } from '../../../src/cli/agent-wiring.ts';
import { askController } from '../../../src/controller/control-client.ts';
import { runController } from '../../../src/cli/controller-wiring.ts';
import { failureOf } from '../../../src/cli/failure.ts';
import type { DeviceDetail } from '../../../src/controller/views.ts';
import { SLOT } from '../../../src/demo/theatre.ts';
import { TouchstoneError } from '../../../src/errors.ts';
import { measureComponents } from '../../../src/measure/components.ts';
import { RunningBroker } from '../../../src/testing/broker.ts';
import { takesConnections } from '../../../src/controller/takes-connections.ts';
import { startFrom } from './tpm-instants.ts';
import type { TpmInstant } from './tpm-instants.ts';
import type { World } from './world.ts';

/** A daemon of this process. */
class Daemon {
  readonly #stop = new AbortController();
  readonly ended: Promise<unknown>;
  /** Why it ended; undefined while it runs, null after a clean stop. */
  end: unknown = undefined;

  constructor(run: (signal: AbortSignal) => Promise<void>) {
    this.ended = run(this.#stop.signal).then(
      () => (this.end = null),
      (error: unknown) => (this.end = error),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}

const POLL_MS = 10;

let software: Promise<Components> | null = null;

/** Measured once: this process can't change. It would take most of the time of a start. */
const measureSoftware: typeof measureComponents = async (options) => (software ??= measureComponents(options));

/** Lines that agents and controllers of this process wrote to stderr. */
const listeners = new Set<string[]>();
const writeError = process.stderr.write.bind(process.stderr);
process.stderr.write = (text: string | Uint8Array): boolean => {
  for (const lines of listeners) lines.push(String(text));
  return writeError(text);
};

export class Life implements AsyncDisposable {
  readonly world: World;
  readonly #broker: RunningBroker;
  #controller: Daemon | null = null;
  #agent: Daemon | null = null;
  readonly #heard: string[][] = [];

  private constructor(world: World) {
    this.world = world;
    this.#broker = new RunningBroker(world.brokerConfig, world.brokerPorts);
  }

  /** Switches TPM, broker and controller on; the disks must lie where they belong. */
  static async begin(world: World, instant: TpmInstant, power: 'kept' | 'cut'): Promise<Life> {
    const life = new Life(world);
    // Memory of processes that are gone: SQLite makes it anew.
    rmSync(join(world.controllerState, 'registry.sqlite-shm'), { force: true });
    await Promise.all([life.#broker.start(), startFrom(world.tpm, instant, power)]);
    await life.#startController();
    return life;
  }

  async #startController(): Promise<void> {
    const { controllerState } = this.world;
    const controller = new Daemon(async (signal) => runController({ state: controllerState, log: 'text', signal }));
    this.#controller = controller;
    while (!(await takesConnections({ path: join(controllerState, 'control.sock') }))) {
      if (controller.end !== undefined) throw new TypeError('the controller did not start', { cause: controller.end });
      await sleep(POLL_MS);
    }
  }

  startAgent(tcti: string = this.world.tpm.tcti): void {
    const { profile, deviceState: state, fleet } = this.world;
    this.#agent = new Daemon(async (signal) =>
      runAgent({ profile, state, fleet, tcti, log: 'text', signal, measureSoftware }),
    );
  }

  /** What agent and controller say from now on, line by line, until this life ends. */
  listen(): readonly string[] {
    const lines: string[] = [];
    listeners.add(lines);
    this.#heard.push(lines);
    return lines;
  }

  /** Why the agent ended by itself; undefined while it runs. */
  get agentEnd(): unknown {
    return this.#agent?.end;
  }

  get agentRuns(): boolean {
    return this.#agent !== null && this.#agent.end === undefined;
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
    this.#agent = null;
  }

  async show(): Promise<DeviceDetail> {
    const { controllerState, deviceId } = this.world;
    const shown = await askController(controllerState, 'show', { device: deviceId });
    return (shown as { device: DeviceDetail }).device;
  }

  /** Gives the device the command to install. */
  async command(release: string, source: string | null): Promise<void> {
    const { controllerState, deviceId } = this.world;
    const body = { devices: [deviceId], release, slot: SLOT, source };
    await askController(controllerState, 'upgrade', body);
  }

  /**
   * Asks for evidence and waits until it was judged; false when none came in time. Twice: who answers the second challenge has taken the
   * first one's result, and with it which reports were heard.
   */
  async attest(waitMs = 60_000): Promise<boolean> {
    const { controllerState, deviceId } = this.world;
    const ask = async (): Promise<boolean> => {
      const heard = await askController(controllerState, 'attest', { device: deviceId, waitMs });
      return (heard as { answered: boolean }).answered;
    };
    return (await ask()) && ask();
  }

  /** Looks at the device until `wanted`, or `withinMs` are over or `lives` is false: false. */
  async #look(wanted: (device: DeviceDetail) => boolean, withinMs: number, lives: () => boolean): Promise<boolean> {
    for (const end = performance.now() + withinMs; performance.now() < end; await sleep(POLL_MS)) {
      if (wanted(await this.show())) return true;
      if (!lives()) return false;
    }
    return false;
  }

  /** False when it did not come so far in time, or the agent has ended before. */
  async until(wanted: (device: DeviceDetail) => boolean, withinMs: number): Promise<boolean> {
    return this.#look(wanted, withinMs, () => this.agentRuns);
  }

  /** The same, whether an agent of this process runs or not. */
  async untilAny(wanted: (device: DeviceDetail) => boolean, withinMs: number): Promise<boolean> {
    return this.#look(wanted, withinMs, () => true);
  }

  /** Everything off. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAgent();
    await this.#controller?.stop();
    await Promise.all([this.world.tpm.kill(), this.#broker.kill()]);
    for (const lines of this.#heard) listeners.delete(lines);
  }
}

/** Whether it ended by what the product or the operating system names, and not by a bug. */
export const isCoded = (end: unknown): boolean => failureOf(end).code !== null;

/** A code of the product, or what else ended a daemon. */
export function endWords(end: unknown): string {
  if (end instanceof TouchstoneError) return end.code;
  return end instanceof Error ? `${end.name}: ${end.message}` : String(end);
}
