// Cuts a recorded upgrade at every step, in every way, and starts again on what each cut leaves.
import { imageDigest, writeImage } from './disk.ts';
import type { Disk, Image } from './disk.ts';
import { atRest, diskFaults, loadable, restFaults, verdictFaults } from './judge.ts';
import type { Violation } from './judge.ts';
import { endWords, Life } from './life.ts';
import type { Recording } from './record.ts';
import { EVERYTHING, powerCuts } from './survivals.ts';
import { instantKey } from './tpm-instants.ts';
import type { TpmInstant } from './tpm-instants.ts';
import type { World } from './world.ts';

/** Disks and TPM as a cut leaves them. */
export interface Cut {
  /** Which step was the last one, and in which way it was cut. */
  readonly name: string;
  readonly device: Image;
  readonly controller: Image;
  readonly instant: TpmInstant;
  readonly power: 'kept' | 'cut';
}

export interface Tally {
  operations: number;
  points: number;
  /** Disks that cuts left, before equal ones were left out. */
  variants: number;
  restarts: number;
  readonly violations: string[];
}

export const emptyTally = (): Tally => ({ operations: 0, points: 0, variants: 0, restarts: 0, violations: [] });

/** Boots until a device is at rest, at most. */
const BOOTS = 2;
/** Generous: a machine may be busy, and what never comes does not come in a minute either. */
const BOOT_LIMIT_MS = 60_000;

function* cutsAt(step: number, device: Disk, controller: Image, instant: TpmInstant): Generator<Cut> {
  const kept = device.image(EVERYTHING);
  yield { name: `${step} kill`, device: kept, controller, instant, power: 'kept' };
  for (const [name, survival] of powerCuts(step)) {
    yield { name: `${step} ${name}`, device: device.image(survival), controller, instant, power: 'cut' };
    if (!device.uncertain) return;
  }
}

/** Every different cut of the recording; `take` says whether to look at a step at all. */
export function* cutsOf(
  { steps, device, controller, instant: first }: Recording,
  tally: Tally,
  take: (step: number) => boolean,
): Generator<Cut> {
  const tried = new Set<string>();
  let instant = first;
  for (const [number, step] of steps.entries()) {
    if ('instant' in step) ({ instant } = step);
    else if (controller.holds(step.op.path)) controller.apply(step.op);
    else device.apply(step.op);
    tally.operations += 1;
    if (!take(number) || ('op' in step && controller.holds(step.op.path))) continue;
    tally.points += 1;
    for (const cut of cutsAt(number, device, controller.image(EVERYTHING), instant)) {
      tally.variants += 1;
      const key = `${imageDigest(cut.device)} ${instantKey(cut.instant, cut.power)}`;
      if (tried.has(key)) continue;
      tried.add(key);
      yield cut;
    }
  }
}

/** Starts on what the cut left until the device is at rest. */
export async function restart(world: World, cut: Cut, tally: Tally): Promise<Violation[]> {
  const { wrong } = loadable(world, cut.device);
  const faults: Violation[] = wrong === null ? [] : [`before the start: ${wrong}`];
  writeImage(cut.device, world.deviceState);
  writeImage(cut.controller, world.controllerState);
  await using life = await Life.begin(world, cut.instant, cut.power);
  const began = Date.now();
  const ends: string[] = [];
  let rests = false;
  for (let boot = 1; boot <= BOOTS && !rests; boot++) {
    tally.restarts += 1;
    life.startAgent();
    rests = await life.until((device) => {
      faults.push(...verdictFaults(device, began));
      return atRest(device, began);
    }, BOOT_LIMIT_MS);
    if (rests) break;
    ends.push(life.agentRuns ? 'not at rest' : endWords(life.agentEnd));
    await life.stopAgent();
  }
  if (!rests) faults.push(`not at rest after ${BOOTS} boots: ${ends.join(', ')}`);
  else {
    faults.push(...restFaults(world, await life.show()));
    if (!(await life.attest())) faults.push('it did not answer at the end');
    await life.stopAgent();
    faults.push(...diskFaults(world));
  }
  return [...new Set(faults)].map((fault) => `${cut.name}: ${fault}`);
}
