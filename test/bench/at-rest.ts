// An agent that has nothing to do: its memory against an empty Node process, its processor time, how soon it proves itself, and its bytes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { startController } from '../support/running-controller.ts';
import type { RunningController } from '../support/running-controller.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { builtIn } from './built.ts';
import { interleave, median, printed } from './interleave.ts';
import type { Figure } from './interleave.ts';
import { resident } from './resident.ts';
import { startOfUnit } from './unit-start.ts';
import type { Start } from './unit-start.ts';

const TICKS_PER_SECOND = 100;
/** V8 gives back what starting took only after some seconds without work. */
const QUICK_SECONDS = 12;
const FULL_SECONDS = 60;

/** Processor seconds that a process has used: fields 14 and 15 of proc(5) stat. */
function processor(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process did not start');
  return pid;
}

const BARE: Start = { flags: [], env: {} };

interface World {
  readonly fleet: TestFleet;
  readonly controller: RunningController;
  /** As the unit does, unless told otherwise. */
  readonly start: (how?: Start) => ChildProcess;
}

/** The one device of this fleet, once it is there. */
async function theDevice({ controller }: World): Promise<string> {
  for (;;) {
    const [device] = await controller.registry.devices();
    if (device !== undefined && (await controller.registry.enrolment(device.id))?.secretProven === true)
      return device.id;
    await sleep(20);
  }
}

/** Seconds from the start of the agent to its next accepted evidence. */
async function untilAccepted(world: World, id: string, how?: Start): Promise<{ agent: ChildProcess; seconds: number }> {
  const before = (await world.controller.registry.device(id))?.row.generation ?? 0;
  const began = performance.now();
  const agent = world.start(how);
  await world.controller.until(id, ({ row }) => row.generation > before);
  return { agent, seconds: (performance.now() - began) / 1000 };
}

async function bytesOf({ controller }: World, id: string): Promise<Figure> {
  const evidence = (await controller.registry.evidence(id))?.bytes.length ?? 0;
  const result = (await controller.registry.device(id))?.verdict?.envelope.length ?? 0;
  return printed('  bytes an attestation', evidence + result, 'bytes', `evidence ${evidence}, result ${result}`);
}

/** Resident memory of an agent that nobody told to be small. */
async function bareMemory(world: World, id: string, over: number): Promise<Figure> {
  const { agent } = await untilAccepted(world, id, BARE);
  await sleep(over * 1000);
  const memory = resident(pidOf(agent));
  await end(agent, 'SIGTERM');
  return printed('  the same without flags for Node', memory, 'MiB', `built package, at rest for ${over} s`);
}

async function measuredIn(world: World, { quick, rounds }: BenchOptions): Promise<Figure[]> {
  const first = world.start();
  const id = await theDevice(world);
  await world.controller.controller.operator.approve(id);
  await world.controller.until(id, ({ row }) => row.generation > 0);
  await end(first, 'SIGTERM');
  const starts: number[] = [];
  for (let i = 0; i < (quick ? 1 : 5); i++) {
    const { agent, seconds } = await untilAccepted(world, id);
    starts.push(seconds);
    await end(agent, 'SIGTERM');
  }
  const { agent } = await untilAccepted(world, id);
  const empty = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  try {
    const over = quick ? QUICK_SECONDS : FULL_SECONDS;
    const used = processor(pidOf(agent));
    await sleep(over * 1000);
    const cpu = processor(pidOf(agent)) - used;
    const memory = await interleave(
      rounds,
      async () => Promise.resolve(resident(pidOf(agent))),
      async () => Promise.resolve(resident(pidOf(empty))),
    );
    const most = resident(pidOf(agent), 'VmHWM');
    const length = await bytesOf(world, id);
    await end(agent, 'SIGTERM');
    return [
      {
        name: 'agent at rest, resident memory',
        unit: 'MiB',
        ...memory,
        limitName: 'an empty Node process',
        bar: { atMost: 1.75 },
      },
      printed('  most it ever held', most, 'MiB', 'its peak; the built package, started as by its systemd unit'),
      await bareMemory(world, id, over),
      printed(`  processor time over ${over} s`, cpu, 's'),
      printed('  start to first accepted evidence', median(starts), 's', 'enrolled before'),
      length,
    ];
  } finally {
    await end(agent, 'SIGTERM');
    await end(empty, 'SIGKILL');
  }
}

async function measured(options: BenchOptions): Promise<Figure[]> {
  const main = join(builtIn(options.dir), 'src/cli/main.js');
  const state = join(options.dir, 'state');
  await mkdir(state, { mode: 0o700 });
  await using tpm = await startSoftwareTpm({ ekCertificates: false });
  await using fleet = await makeTestFleet();
  await using _broker = await fleet.startBroker();
  await using controller = await startController(fleet);
  const args = [main, 'agent', '--profile', join(fleet.deviceDir, 'profile.json'), '--state', state];
  args.push('--fleet', fleet.deviceDir, '--tcti', tpm.tcti);
  const running = new Set<ChildProcess>();
  const start = ({ flags, env } = startOfUnit()): ChildProcess => {
    const all = { ...process.env, ...env };
    const child = spawn(process.execPath, [...flags, ...args], { stdio: 'ignore', env: all });
    running.add(child);
    return child;
  };
  try {
    return await measuredIn({ fleet, controller, start }, options);
  } finally {
    for (const child of running) await end(child, 'SIGKILL');
  }
}

export const atRest: Bench = { name: 'at-rest', run: measured };
