// The controller on real Mosquitto and real SQLite, with devices whose keys really sign.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { downTopic, upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { loadTrust } from '../../src/release/root.ts';
import type { Trust } from '../../src/release/root.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import type { ResultStatement } from '../../src/protocol/messages.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { startController } from '../support/running-controller.ts';
import type { RunningController } from '../support/running-controller.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { inbox } from './bus.ts';

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
let trust: Trust;

beforeAll(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  broker = await fleet.startBroker();
  const [file, root] = ['fleet.json', 'root.json'].map((name) => readFileSync(join(fleet.deviceDir, name)));
  trust = loadTrust(file ?? Buffer.alloc(0), root ?? Buffer.alloc(0), Date.now(), 0);
});

afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

async function running(options: Parameters<typeof startController>[1] = {}): Promise<RunningController> {
  const controller = await startController(fleet, options);
  onTestFinished(async () => controller[Symbol.asyncDispose]());
  return controller;
}

async function newcomerBus(): Promise<Bus> {
  const bus = await connectMqttBus({ url: fleet.enrolUrl, caPem: fleet.caPem, clientId: '' });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  return bus;
}

/** A device that was approved and is connected; it answers challenges unless told otherwise. */
async function member(
  controller: RunningController,
  options: { readonly silent?: boolean; readonly partBytes?: number; readonly release?: TestRelease } = {},
): Promise<{ device: SoftDevice; bus: Bus; results: () => Promise<ResultStatement> }> {
  const device = await SoftDevice.make(fleet, options.release ?? release);
  const joining = await newcomerBus();
  await device.enrol(joining, 'pending');
  const approved = device.enrol(joining, 'approved');
  await controller.controller.operator.approve(device.id);
  await approved;
  const bus = await device.connect({ will: true });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  const got = inbox();
  await bus.subscribe(downTopic(device.id, 'result'), got.take);
  if (options.silent !== true) {
    await device.answerAll(bus, options.partBytes === undefined ? {} : { partBytes: options.partBytes });
  }
  const results = async (): Promise<ResultStatement> => {
    const { payload } = await got.next();
    const result = openStatement('result', payload, trust.resultKeys);
    if (result === null) throw new TypeError('a result is signed by a result key of the root');
    return result;
  };
  return { device, bus, results };
}

const rules = ({ findings }: { readonly findings: readonly { readonly rule: string }[] }): string[] =>
  [...new Set(findings.map(({ rule }) => rule))].toSorted();

describe('a device that is as signed', () => {
  it('enrols, waits, is approved, attests at its own hint, and gets a signed result with a lease', async () => {
    const controller = await running();
    const { device, bus, results } = await member(controller);
    await bus.publish(upTopic(device.id, 'status'), device.hint(true, 'challenge'));
    const result = await results();
    expect(result).toMatchObject({ deviceId: device.id, status: 'warning', assurance: 'A0', leaseForMs: 300_000 });
    expect(rules(result)).toEqual(['tier-software']);
    const row = await controller.until(device.id, ({ verdict }) => verdict !== null);
    expect(row.row.generation).toBe(1);
    expect(row.slots).toEqual([
      { slot: 'detector', release: release.id, version: '1.0.0', state: 'active', status: 'affirming' },
    ]);
  });
});
