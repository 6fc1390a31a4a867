// Approved devices of a running fleet, connected, with their signed results at hand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { downTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import type { ResultStatement } from '../../src/protocol/messages.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { loadTrust } from '../../src/release/root.ts';
import type { Trust } from '../../src/release/root.ts';
import type { TestFleet, TestRelease } from './fleet.ts';
import { startController } from './running-controller.ts';
import type { ControllerOptions, RunningController } from './running-controller.ts';
import { nextOf, SoftDevice } from './soft-device.ts';

/** The trust of a device of this fleet. */
export function trustOf(fleet: TestFleet): Trust {
  const read = (name: string): Buffer => readFileSync(join(fleet.deviceDir, name));
  return loadTrust(read('fleet.json'), read('root.json'), Date.now(), 0);
}

/** A controller that is stopped when the test ends. */
export async function running(fleet: TestFleet, options: ControllerOptions = {}): Promise<RunningController> {
  const controller = await startController(fleet, options);
  onTestFinished(async () => controller[Symbol.asyncDispose]());
  return controller;
}

/** A connection to the listener where one can only enrol. */
export async function newcomerBus(fleet: TestFleet): Promise<Bus> {
  const bus = await connectMqttBus({ url: fleet.enrolUrl, caPem: fleet.caPem, clientId: '' });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  return bus;
}

export interface Member {
  readonly device: SoftDevice;
  readonly bus: Bus;
  /** The next result; an Error when its signature is not one of the root's result keys. */
  readonly result: () => Promise<ResultStatement>;
}

export interface MemberOptions {
  /** It does not answer challenges by itself. */
  readonly silent?: boolean;
  readonly partBytes?: number;
  readonly release: TestRelease;
}

/** A device that was approved and is connected; it answers challenges unless told otherwise. */
export async function member(controller: RunningController, fleet: TestFleet, options: MemberOptions): Promise<Member> {
  const device = await SoftDevice.make(fleet, options.release);
  const joining = await newcomerBus(fleet);
  await device.enrol(joining, 'pending');
  const approved = device.enrol(joining, 'approved');
  await controller.controller.operator.approve(device.id);
  await approved;
  const bus = await device.connect({ will: true });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  const next = await nextOf(bus, downTopic(device.id, 'result'));
  const { resultKeys } = trustOf(fleet);
  const result = async (): Promise<ResultStatement> => {
    const opened = openStatement('result', await next(), resultKeys);
    if (opened === null) throw new TypeError('a result is signed by a result key of the root');
    return opened;
  };
  if (options.silent !== true) {
    await device.answerAll(bus, options.partBytes === undefined ? {} : { partBytes: options.partBytes });
  }
  return { device, bus, result };
}

/** Rules of the findings, each once. */
export function rulesOf({ findings }: { readonly findings: readonly { readonly rule: string }[] }): string[] {
  return [...new Set(findings.map(({ rule }) => rule))].toSorted();
}
