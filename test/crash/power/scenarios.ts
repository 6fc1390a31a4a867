// What the proof tries, part by part; each part on a world of its own kind, in a process of its own.
import { cutsOf, emptyTally, restart } from './cuts.ts';
import type { Cut, Tally } from './cuts.ts';
import { canEndIn, failAt, killTpmAt } from './errors.ts';
import { truncatedJournal } from './journal-cuts.ts';
import { judgeUnsynced } from './planted.ts';
import type { ErrnoName, Op, OpLog } from './op-log.ts';
import { record, recordRecovery } from './record.ts';
import type { Recording, Upgrade } from './record.ts';
import { uncleanRestarts } from './restarts.ts';
import { seeded } from './survivals.ts';
import type { World } from './world.ts';

/** How much of it: step `from` and then one of `every`, and so many repetitions of what is random. */
export interface Measure {
  readonly every: number;
  readonly from: number;
  readonly restarts: number;
  readonly truncations: number;
  /** Starts after a cut that are cut in their turn, of each upgrade. */
  readonly recoveries: number;
}

export const WHOLE: Measure = { every: 1, from: 0, restarts: 50, truncations: 100, recoveries: 16 };

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

async function cutEverywhere(lane: Lane, recording: Recording, before = ''): Promise<void> {
  const { world, tally, measure } = lane;
  for (const cut of cutsOf(recording, tally, (step) => step % measure.every === measure.from)) {
    const faults = await restart(world, cut, tally);
    tally.violations.push(...faults.map((fault) => `${before}${fault}`));
    lane.progress();
  }
}

/** So many cuts of the recording, spread over its steps, each in another way. */
function sampleOf(recording: Recording, count: number): Cut[] {
  const stride = Math.max(1, Math.floor(recording.steps.length / count));
  const ways = new Map<number, Cut[]>();
  for (const cut of cutsOf(recording, emptyTally(), (step) => step % stride === stride - 1)) {
    const step = Number.parseInt(cut.name, 10);
    ways.set(step, [...(ways.get(step) ?? []), cut]);
  }
  return [...ways.values()].flatMap((cuts, number) => cuts[number % cuts.length] ?? []);
}

/** Cuts the start after a cut: whatever it had done by then, the next one comes to rest. */
async function cutRecoveries(lane: Lane, upgrade: Upgrade): Promise<void> {
  const { world, log, measure } = lane;
  for (const cut of sampleOf(await record(world, log, upgrade), measure.recoveries)) {
    await cutEverywhere(lane, await recordRecovery(world, log, cut), `after ${cut.name}, `);
  }
}

/** Operations of the device, of a recording. */
function operationsOf({ steps, device }: Recording): Op[] {
  return steps.flatMap((step) => ('op' in step && device.holds(step.op.path) ? [step.op] : []));
}

async function failEverywhere(lane: Lane, error: ErrnoName, sparesJournal = false): Promise<void> {
  const { world, tally, measure, log, web } = lane;
  const upgrade = passes(web);
  const operations = operationsOf(await record(world, log, upgrade));
  const places = operations.flatMap((op, number) => (canEndIn(error, op, sparesJournal) ? [number] : []));
  for (const at of places.filter((_, index) => index % measure.every === measure.from)) {
    tally.points += 1;
    tally.violations.push(...(await failAt(world, log, upgrade, { error, at, sparesJournal }, tally)));
    lane.progress();
  }
  tally.operations += operations.length;
}

/** Moments all over the recording, at most so many, the device killed there. */
function killsOf(recording: Recording, count: number): Cut[] {
  const random = seeded(1);
  const chosen = new Set(Array.from({ length: count }, () => Math.floor(random() * recording.steps.length)));
  const cuts = [...cutsOf(recording, emptyTally(), (step) => chosen.has(step))];
  return cuts.filter(({ power }) => power === 'kept');
}

type Scenario = (lane: Lane) => Promise<void>;

export const SCENARIO_NAMES = [
  'an upgrade over the web that commits',
  'an upgrade from a folder that is rolled back',
  'starts after a cut of it, cut again',
  'starts after a cut of one that is rolled back, cut again',
  'a full disk',
  'a disk that becomes read-only',
  'a disk that fails',
  'a disk that is full but for the journal',
  'a disk that fails beside the journal',
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
  'starts after a cut of it, cut again': async (lane) => cutRecoveries(lane, passes(lane.web)),
  'starts after a cut of one that is rolled back, cut again': async (lane) => cutRecoveries(lane, FAILS),
  'a full disk': async (lane) => failEverywhere(lane, 'ENOSPC'),
  'a disk that becomes read-only': async (lane) => failEverywhere(lane, 'EROFS'),
  'a disk that fails': async (lane) => failEverywhere(lane, 'EIO'),
  'a disk that is full but for the journal': async (lane) => failEverywhere(lane, 'ENOSPC', true),
  'a disk that fails beside the journal': async (lane) => failEverywhere(lane, 'EIO', true),
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
    const cuts = killsOf(await record(world, log, passes(web)), measure.truncations);
    for (let seed = 1; seed <= measure.truncations; seed++) {
      const cut = cuts[seed % cuts.length];
      if (cut === undefined) throw new TypeError('nothing was recorded');
      tally.points += 1;
      tally.violations.push(...(await truncatedJournal(world, cut, seed, tally)));
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
