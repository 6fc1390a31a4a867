// One whole upgrade, written down: every change to the device's and the controller's disk and every TPM command, in the order they happened.
import { closeSync, openSync, writeSync } from 'node:fs';
import { Disk, EMPTY_DIFFERENCE, imageDifference } from './disk.ts';
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
  /** Number of the first step after the command was given. */
  readonly commanded: number;
  /** Disks as they were before the first step. */
  readonly device: Disk;
  readonly controller: Disk;
}

const LIMIT_MS = 60_000;

/** Marks in the log: its place among the operations is what they say. */
class Marks {
  readonly #file: number;
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, 'w');
  }

  put(mark: 'tpm' | 'command'): void {
    writeSync(this.#file, mark);
  }

  close(): void {
    closeSync(this.#file);
  }
}

async function perform(world: World, upgrade: Upgrade, marks: Marks, instants: TpmInstant[]): Promise<void> {
  await using life = await Life.begin(world, world.rest, 'cut');
  await using tap = await TpmTap.open(world.tpm, world.stage.path('tap'));
  tap.hook = {
    before: () => undefined,
    after: async (_, instant) => {
      instants.push(await instant());
      marks.put('tpm');
    },
  };
  const began = Date.now();
  life.startAgent(tap.tcti);
  const attested = await life.until(({ verdict }) => (verdict?.at ?? 0) >= began, LIMIT_MS);
  if (!attested) throw new TypeError('the recorded device was never attested', { cause: life.agentEnd });
  const { ids } = world;
  marks.put('command');
  await life.command(ids[upgrade.release], upgrade.source);
  const ended = await life.until(({ slots, commands }) => {
    const [slot] = slots;
    const heard = commands.every(({ outcome }) => outcome !== null);
    return heard && slot?.state === 'active' && slot.release === ids[upgrade.ends];
  }, LIMIT_MS);
  if (!ended) throw new TypeError('the recorded upgrade did not end', { cause: life.agentEnd });
  await life.attest();
  await life.stopAgent();
}

/** Errors: TypeError when the upgrade did not end as it should, or when something changed a disk past the log. */
export async function record(world: World, log: OpLog, upgrade: Upgrade): Promise<Recording> {
  putBackDisks(world);
  const marks = new Marks(world.stage.path('marks'));
  const [device, controller, whole] = [
    new Disk(world.deviceState),
    new Disk(world.controllerState),
    new Disk(world.deviceState),
  ];
  const instants: TpmInstant[] = [];
  const before = log.read().length;
  log.watch(world.stage.dir);
  try {
    await perform(world, upgrade, marks, instants);
  } finally {
    log.stop();
    marks.close();
  }
  const steps: Step[] = [];
  let commanded = 0;
  let next = 0;
  for (const op of log.read().slice(before)) {
    if (op.path === marks.path) {
      if (op.bytes.toString() === 'command') commanded = steps.length;
      const instant = op.bytes.toString() === 'tpm' ? instants[next++] : undefined;
      if (instant !== undefined) steps.push({ instant });
    } else if (device.holds(op.path) || controller.holds(op.path)) steps.push({ op });
  }
  for (const step of steps) if ('op' in step && whole.holds(step.op.path)) whole.apply(step.op);
  const difference = imageDifference(whole.image(EVERYTHING), new Disk(world.deviceState).image(EVERYTHING));
  if (difference !== EMPTY_DIFFERENCE) throw new TypeError(`the log does not explain the disk: ${difference}`);
  return { steps, commanded, device, controller };
}
