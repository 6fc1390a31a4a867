// A whole upgrade, or the start after a cut, written down: every change to the device's and the controller's disk and every TPM command, in the order they happened.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Cut } from './cuts.ts';
import { Disk, EMPTY_DIFFERENCE, imageDifference, writeImage } from './disk.ts';
import { atRest } from './judge.ts';
import { Life } from './life.ts';
import type { Op, OpLog } from './op-log.ts';
import { EVERYTHING } from './survivals.ts';
import { TpmTap } from './tpm-instants.ts';
import type { TpmInstant } from './tpm-instants.ts';
import { putBackDisks } from './world.ts';
import type { ReleaseName, World } from './world.ts';

/** What is done to the device while it is watched. */
export interface Upgrade {
  readonly release: ReleaseName;
  /** The release that the slot holds at the end. */
  readonly ends: ReleaseName;
  /** Null: the controller's own copy. */
  readonly source: string | null;
}

/** Something that happened, and what the TPM held afterwards if it happened there. */
export type Step = { readonly op: Op } | { readonly instant: TpmInstant };

export interface Recording {
  readonly steps: readonly Step[];
  /** Disks, and what the TPM held, before the first step. */
  readonly device: Disk;
  readonly controller: Disk;
  readonly instant: TpmInstant;
}

const LIMIT_MS = 60_000;

/** Marks in the log: their place among the operations says when the TPM carried a command out. */
class Marks {
  readonly #file: number;
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, 'w');
  }

  put(): void {
    writeSync(this.#file, '.');
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Keeps what the TPM held after each command, and marks it in the log. */
async function tapped(world: World, marks: Marks, instants: TpmInstant[]): Promise<TpmTap> {
  const tap = await TpmTap.open(world.tpm, world.stage.path('tap'));
  tap.hook = {
    before: () => undefined,
    after: async (_, instant) => {
      instants.push(await instant());
      marks.put();
    },
  };
  return tap;
}

/** Writes down what `perform` does to the disks as they lie there, and to the TPM. Errors: TypeError when something changed a disk past the log. */
async function writtenDown(
  world: World,
  log: OpLog,
  instant: TpmInstant,
  perform: (marks: Marks, instants: TpmInstant[]) => Promise<void>,
): Promise<Recording> {
  const marks = new Marks(world.stage.path('marks'));
  const [device, controller, whole] = [
    new Disk(world.deviceState),
    new Disk(world.controllerState),
    new Disk(world.deviceState),
  ];
  const instants: TpmInstant[] = [];
  log.begin();
  log.watch(world.stage.dir);
  try {
    await perform(marks, instants);
  } finally {
    log.stop();
    marks.close();
  }
  const steps: Step[] = [];
  let next = 0;
  for (const op of log.read()) {
    if (op.path === marks.path) {
      const held = op.kind === 'write' ? instants[next++] : undefined;
      if (held !== undefined) steps.push({ instant: held });
    } else if (device.holds(op.path) || controller.holds(op.path)) steps.push({ op });
  }
  for (const step of steps) if ('op' in step && whole.holds(step.op.path)) whole.apply(step.op);
  const difference = imageDifference(whole.image(EVERYTHING), new Disk(world.deviceState).image(EVERYTHING));
  if (difference !== EMPTY_DIFFERENCE) throw new TypeError(`the log does not explain the disk: ${difference}`);
  return { steps, device, controller, instant };
}

/** Errors: TypeError when the upgrade did not end as it should, or when something changed a disk past the log. */
export async function record(world: World, log: OpLog, upgrade: Upgrade): Promise<Recording> {
  putBackDisks(world);
  return writtenDown(world, log, world.rest, async (marks, instants) => {
    await using life = await Life.begin(world, world.rest, 'cut');
    await using tap = await tapped(world, marks, instants);
    const began = Date.now();
    life.startAgent(tap.tcti);
    const attested = await life.until(({ verdict }) => (verdict?.at ?? 0) >= began, LIMIT_MS);
    if (!attested) throw new TypeError('the recorded device was never attested', { cause: life.agentEnd });
    const { ids } = world;
    await life.command(ids[upgrade.release], upgrade.source);
    const ended = await life.until(({ slots, commands }) => {
      const [slot] = slots;
      const heard = commands.every(({ outcome }) => outcome !== null);
      return heard && slot?.state === 'active' && slot.release === ids[upgrade.ends];
    }, LIMIT_MS);
    if (!ended) throw new TypeError('the recorded upgrade did not end', { cause: life.agentEnd });
    await life.attest();
    await life.stopAgent();
  });
}

/** The start after a cut, until the device is at rest. Errors: as `record`. */
export async function recordRecovery(world: World, log: OpLog, cut: Cut): Promise<Recording> {
  writeImage(cut.device, world.deviceState);
  writeImage(cut.controller, world.controllerState);
  // Counted from here; a TPM whose power was cut holds nothing in its memory.
  const instant = { ...cut.instant, changes: 0, ...(cut.power === 'cut' ? { volatile: null } : {}) };
  return writtenDown(world, log, instant, async (marks, instants) => {
    await using life = await Life.begin(world, cut.instant, cut.power);
    await using tap = await tapped(world, marks, instants);
    const began = Date.now();
    life.startAgent(tap.tcti);
    if (!(await life.until((device) => atRest(device, began), LIMIT_MS)))
      throw new TypeError(`the recorded recovery did not end: ${cut.name}`, { cause: life.agentEnd });
    await life.stopAgent();
  });
}
