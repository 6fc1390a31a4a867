// Attestations accepted per second, end to end: evidence over mTLS into the broker, judged, durable in SQLite, signed result back.
import { execFile, fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeTestFleet } from '../support/fleet.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { interleave, median, printed } from './interleave.ts';
import type { Figure } from './interleave.ts';
import { placeOf, request } from './load-messages.ts';
import type { ControllerCount, FromController, FromDevices, RoundDone } from './load-messages.ts';

const run = promisify(execFile);
const DEVICES = 500;
const AT_ONCE = 400;
/** Evidences of each device in a round. */
const TIMES = 30;
const QUICK_TIMES = 4;

/** P-256 verifications a second of one core, by openssl. */
async function opensslVerifies(): Promise<number> {
  const { stdout } = await run('openssl', ['speed', '-mr', '-seconds', '1', 'ecdsap256']);
  // +F4:<number>:<bits>:<seconds per signature>:<seconds per verification>
  const [, , , , each] = /^\+F4:.*$/m.exec(stdout)?.[0].split(':') ?? [];
  const rate = Number(each);
  if (!Number.isFinite(rate) || rate <= 0) throw new Error(`openssl speed said something else: ${stdout}`);
  // Some versions print operations a second, others seconds an operation.
  return rate < 1 ? 1 / rate : rate;
}

function start(file: string): ChildProcess {
  return fork(join(import.meta.dirname, file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function measured({ quick, rounds }: BenchOptions): Promise<Figure[]> {
  await using fleet = await makeTestFleet({ controller: { maxAgeSeconds: 3600 } });
  const [devices, controller] = [start('load-devices.ts'), start('load-controller.ts')];
  try {
    await using _broker = await fleet.startBroker();
    await request<FromDevices>(devices, { do: 'make', fleet: placeOf(fleet), devices: DEVICES });
    await request<FromController>(controller, { do: 'run', fleet: placeOf(fleet) });
    await request<FromDevices>(devices, { do: 'connect' });
    let sent = 0;
    let bytes = 0;
    const cpu: number[] = [];
    const loadCpu: number[] = [];
    const ours = async (): Promise<number> => {
      const before = await request<ControllerCount>(controller, { do: 'count' });
      const times = quick ? QUICK_TIMES : TIMES;
      const done = await request<RoundDone>(devices, { do: 'round', times, atOnce: AT_ONCE });
      if (done.affirming !== done.results) throw new Error(`${done.affirming} of ${done.results} are affirming`);
      const after = await request<ControllerCount>(controller, { do: 'count' });
      sent += done.results;
      ({ bytes } = done);
      cpu.push((1e6 * (after.cpu - before.cpu)) / done.results);
      loadCpu.push((1e6 * done.cpu) / done.results);
      return done.results / done.seconds;
    };
    const pair = await interleave(rounds, ours, opensslVerifies);
    const count = await request<ControllerCount>(controller, { do: 'count' });
    if (count.accepted !== sent) throw new Error(`${count.accepted} accepted of ${sent}`);
    return [
      {
        name: 'attestations end to end (mTLS, SQLite FULL)',
        unit: '/s',
        ...pair,
        limitName: 'openssl speed, P-256 verify, one core',
        bar: { atLeast: 0.4 },
      },
      printed('  evidence packet, 2 new records', bytes, 'bytes'),
      printed('  controller, CPU an attestation', median(cpu), 'µs'),
      printed('  devices, CPU an attestation', median(loadCpu), 'µs', 'the load itself'),
      printed('  controller, resident', count.memory / 2 ** 20, 'MiB'),
    ];
  } finally {
    await Promise.all([end(devices), end(controller)]);
  }
}

export const throughput: Bench = { name: 'throughput', run: measured };
