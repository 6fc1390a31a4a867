// What is done to a living agent: operation k ends in an error, or the TPM dies at command k. It comes back when the fault has gone.
import type { DeviceDetail } from '../../../src/controller/views.ts';
import { atRest, diskFaults, nameOf, restFaults, verdictFaults } from './judge.ts';
import type { Violation } from './judge.ts';
import { endWords, isCoded, Life } from './life.ts';
import type { Tally } from './cuts.ts';
import { ERRNO } from './op-log.ts';
import type { ErrnoName, Op, OpKind, OpLog } from './op-log.ts';
import type { Upgrade } from './record.ts';
import { TpmTap } from './tpm-instants.ts';
import { putBackDisks } from './world.ts';
import type { World } from './world.ts';

const LIMIT_MS = 60_000;
/** How long an agent that goes on under a fault is left with it. */
const FAULT_MS = 4000;

/** In every path of the journal: an agent whose journal fails ends, and one that has it goes on. */
const JOURNAL = 'journal.sqlite';

/** A disk that is full still syncs and removes; one that is read-only still syncs. */
const UNTOUCHED: Readonly<Record<ErrnoName, ReadonlySet<OpKind>>> = {
  EIO: new Set(),
  ENOSPC: new Set(['sync', 'unlink', 'rmdir', 'chmod', 'truncate']),
  EROFS: new Set(['sync']),
};

/** Whether an operation of this kind can end in this error. */
export function canEndIn(error: ErrnoName, { kind, path }: Op, sparesJournal: boolean): boolean {
  return !UNTOUCHED[error].has(kind) && !(sparesJournal && path.includes(JOURNAL));
}

/** A fault that is there until `lift`. */
interface Fault {
  readonly name: string;
  /** Where the agent finds its TPM. */
  readonly tcti: string;
  /** An agent that has begun may not end by it; one that begins may, and begins again. */
  readonly isSurvived: boolean;
  lift(): Promise<void>;
}

/** The upgrade under a fault, and after it. */
async function liveThrough(life: Life, upgrade: Upgrade, fault: Fault, tally: Tally): Promise<Violation[]> {
  const { world } = life;
  const wanted = world.ids[upgrade.release];
  const began = Date.now();
  const faults: Violation[] = [];
  const settled = async (done: (device: DeviceDetail) => boolean, withinMs: number): Promise<boolean> =>
    life.until((device) => {
      faults.push(...verdictFaults(device, began));
      return done(device);
    }, withinMs);
  const start = (tcti: string): void => {
    tally.restarts += 1;
    life.startAgent(tcti);
  };
  start(fault.tcti);
  const begun = await settled((device) => atRest(device, began), LIMIT_MS);
  if (begun) {
    await life.command(wanted, upgrade.source);
    // It ends, or comes to rest, or goes on trying for as long as the fault lasts.
    await settled((device) => atRest(device, began), FAULT_MS);
  }
  if (!life.agentRuns && begun && fault.isSurvived) faults.push(`it ended: ${endWords(life.agentEnd)}`);
  if (!life.agentRuns && !isCoded(life.agentEnd)) faults.push(`it ended by a bug: ${endWords(life.agentEnd)}`);
  await fault.lift();
  const lifted = Date.now();
  if (!life.agentRuns) start(world.tpm.tcti);
  // Its rhythm is not waited for.
  else if (!(await life.attest())) faults.push('it did not answer after the fault');
  if (!(await settled((device) => atRest(device, lifted), LIMIT_MS))) {
    return [...faults, `not at rest after the fault: ${life.agentRuns ? 'it runs' : endWords(life.agentEnd)}`];
  }
  // A command that failed, or was never given, is given again: nothing is in its way any more.
  for (
    let device = await life.show();
    device.slots[0]?.release !== world.ids[upgrade.ends];
    device = await life.show()
  ) {
    const given = device.commands.length;
    if (given > 3) return [...faults, `release ${nameOf(world, device.slots[0]?.release) ?? '-'} stays`];
    await life.command(wanted, upgrade.source);
    const ends = (now: DeviceDetail): boolean => now.commands.length > given && atRest(now, lifted);
    if (!(await settled(ends, LIMIT_MS))) return [...faults, 'a new command was not carried out'];
  }
  faults.push(...restFaults(world, await life.show()));
  if (!(await life.attest())) faults.push('it did not answer at the end');
  await life.stopAgent();
  return [...faults, ...diskFaults(world)];
}

function named(name: string, faults: readonly Violation[]): Violation[] {
  return [...new Set(faults)].map((fault) => `${name}: ${fault}`);
}

/** What fails, and where: EIO at operation `at` alone, ENOSPC and EROFS from there on, until it is lifted. */
export interface DiskFault {
  readonly error: ErrnoName;
  readonly at: number;
  readonly sparesJournal: boolean;
}

export async function failAt(
  world: World,
  log: OpLog,
  upgrade: Upgrade,
  { error, at, sparesJournal }: DiskFault,
  tally: Tally,
): Promise<Violation[]> {
  putBackDisks(world);
  await using life = await Life.begin(world, world.rest, 'cut');
  log.watch(world.deviceState);
  log.failFrom(at, error === 'EIO' ? at + 1 : Number.MAX_SAFE_INTEGER, ERRNO[error], sparesJournal ? JOURNAL : '');
  const name = `${error} at operation ${at}`;
  const lift = async (): Promise<void> => {
    log.stop();
    return Promise.resolve();
  };
  try {
    const fault = { name, tcti: world.tpm.tcti, isSurvived: sparesJournal, lift };
    return named(name, await liveThrough(life, upgrade, fault, tally));
  } finally {
    log.stop();
  }
}

/** The TPM loses its power at command `at`: before it, or when it was carried out and not answered. */
export async function killTpmAt(world: World, upgrade: Upgrade, at: number, tally: Tally): Promise<Violation[]> {
  putBackDisks(world);
  await using life = await Life.begin(world, world.rest, 'cut');
  await using tap = await TpmTap.open(world.tpm, world.stage.path('tap'));
  let command = 0;
  const die = async (): Promise<void> => {
    command += 1;
    if (command === at + 1) await world.tpm.kill();
  };
  const nothing = (): void => undefined;
  tap.hook = at % 2 === 0 ? { before: die, after: nothing } : { before: nothing, after: die };
  const lift = async (): Promise<void> => {
    // Also where it never came to that command.
    await life.stopAgent();
    await world.tpm.kill();
    await world.tpm.start();
  };
  const name = `TPM killed ${at % 2 === 0 ? 'before' : 'after'} command ${at}`;
  return named(name, await liveThrough(life, upgrade, { name, tcti: tap.tcti, isSurvived: false, lift }, tally));
}
