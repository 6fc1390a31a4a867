// What the proof tries, part by part; each part on a world of its own kind, in a process of its own.
import { cutsOf, restart } from './cuts.ts';
import type { Cut, Tally } from './cuts.ts';
import { canEndIn, failAt, killTpmAt } from './errors.ts';
import { recordsOf, truncatedJournal } from './journal-cuts.ts';
import { judgeUnsynced } from './planted.ts';
import type { ErrnoName, Op, OpLog } from './op-log.ts';
import { record } from './record.ts';
import type { Recording, Upgrade } from './record.ts';
import { uncleanRestarts } from './restarts.ts';
import { EVERYTHING } from './survivals.ts';
import type { World } from './world.ts';

/** How much of it: step `from` and then one of `every`, and so many repetitions of what is random. */
export interface Measure {
  readonly every: number;
  readonly from: number;
  readonly restarts: number;
  readonly truncations: number;
}

export const WHOLE: Measure = { every: 1, from: 0, restarts: 50, truncations: 100 };

export interface Lane {
  readonly world: World;
  readonly log: OpLog;
  readonly library: string;
  /** Address of a web server with the release `two`. */
  readonly web: string;
  readonly measure: Measure;
  readonly tally: Tally;
  /** Called after each case. */
  progress(): void;
}

/** A release that comes over the web, passes its trial and raises the floor; one from a folder that fails. */
const passes = (web: string): Upgrade => ({ release: 'two', ends: 'two', source: web });
const FAILS: Upgrade = { release: 'ill', ends: 'one', source: null };

async function cutEverywhere(lane: Lane, recording: Recording): Promise<void> {
  const { world, tally, measure } = lane;
  for (const cut of cutsOf(recording, world, tally, (step) => step % measure.every === measure.from)) {
    tally.violations.push(...(await restart(world, cut, tally)));
    lane.progress();
  }
}

/** Operations of the device, of a recording. */
function operationsOf({ steps, device }: Recording): Op[] {
  return steps.flatMap((step) => ('op' in step && device.holds(step.op.path) ? [step.op] : []));
}

async function failEverywhere(lane: Lane, error: ErrnoName): Promise<void> {
  const { world, tally, measure, log, web } = lane;
  const upgrade = passes(web);
  const operations = operationsOf(await record(world, log, upgrade));
  const at = operations.flatMap((op, number) => (canEndIn(error, op) ? [number] : []));
  for (const number of at.filter((_, index) => index % measure.every === measure.from)) {
    tally.points += 1;
    tally.violations.push(...(await failAt(world, log, upgrade, error, number, tally)));
    lane.progress();
  }
  tally.operations += operations.length;
}

/** The end of a recording, the device killed. */
function endOf({ steps, device, controller }: Recording, world: World): Cut {
  let instant = world.rest;
  for (const step of steps) {
    if ('instant' in step) ({ instant } = step);
    else (device.holds(step.op.path) ? device : controller).apply(step.op);
  }
  const images = { device: device.image(EVERYTHING), controller: controller.image(EVERYTHING) };
  return { name: 'the end', ...images, instant, power: 'kept' };
}

type Scenario = (lane: Lane) => Promise<void>;

export const SCENARIO_NAMES = [
  'an upgrade over the web that commits',
  'an upgrade from a folder that is rolled back',
  'a full disk',
  'a disk that becomes read-only',
  'a disk that fails',
  'a TPM that loses its power',
  'a journal cut off behind a living TPM',
  'unclean restarts in a row',
  'the same without any sync, which must be seen',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

export const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = {
  'an upgrade over the web that commits': async (lane) => {
    const recording = await record(lane.world, lane.log, passes(lane.web));
    await cutEverywhere(lane, recording);
  },
  'an upgrade from a folder that is rolled back': async (lane) => {
    await cutEverywhere(lane, await record(lane.world, lane.log, FAILS));
  },
  'a full disk': async (lane) => failEverywhere(lane, 'ENOSPC'),
  'a disk that becomes read-only': async (lane) => failEverywhere(lane, 'EROFS'),
  'a disk that fails': async (lane) => failEverywhere(lane, 'EIO'),
  'a TPM that loses its power': async (lane) => {
    const { world, tally, measure, log, web } = lane;
    const { steps } = await record(world, log, passes(web));
    const commands = steps.filter((step) => 'instant' in step).length;
    for (let at = measure.from; at < commands; at += measure.every) {
      tally.points += 1;
      tally.violations.push(...(await killTpmAt(world, passes(web), at, tally)));
      lane.progress();
    }
    tally.operations += commands;
  },
  'a journal cut off behind a living TPM': async (lane) => {
    const { world, tally, measure, log, web } = lane;
    const end = endOf(await record(world, log, passes(web)), world);
    const records = await recordsOf(world, end);
    for (let seed = 1; seed <= measure.truncations; seed++) {
      tally.points += 1;
      tally.violations.push(...(await truncatedJournal(world, end, records, seed, tally)));
      lane.progress();
    }
  },
  'unclean restarts in a row': async (lane) => {
    const { world, tally, measure, library } = lane;
    tally.points += measure.restarts;
    tally.violations.push(...(await uncleanRestarts(world, library, measure.restarts, 7, tally)));
  },
  'the same without any sync, which must be seen': async (lane) => {
    judgeUnsynced(await record(lane.world, lane.log, passes(lane.web)), lane.world, lane.tally);
  },
};
