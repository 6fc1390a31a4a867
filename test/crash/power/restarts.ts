// One device, killed again and again wherever it happens to be, its power cut every third time: it is explained each time.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { atRest, diskFaults, restFaults, verdictFaults } from './judge.ts';
import type { Violation } from './judge.ts';
import { Life } from './life.ts';
import type { Tally } from './cuts.ts';
import { OpLog, opLogEnvironment } from './op-log.ts';
import { seeded } from './survivals.ts';
import { putBackDisks } from './world.ts';
import type { ReleaseName, World } from './world.ts';

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname;
/** Within these many operations of its start a device is killed. */
const OPERATIONS = 300;
const LIMIT_MS = 60_000;
/** What is asked of it, over and over: something is always under way. */
const WISHES: readonly ReleaseName[] = ['ill', 'two', 'ill'];

/** An agent of its own process, which kills itself at operation `at` of its disk. */
function startChild(world: World, library: string, control: string, at: number): { child: ChildProcess; log: OpLog } {
  OpLog.prepare(control);
  const log = new OpLog(control);
  log.watch(world.deviceState);
  log.failFrom(at, Number.MAX_SAFE_INTEGER, 0);
  const args = ['agent', '--profile', world.profile, '--state', world.deviceState, '--fleet', world.fleet];
  const child = spawn(process.execPath, [main, ...args, '--tcti', world.tpm.tcti], {
    env: { ...process.env, ...opLogEnvironment(library, control) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { child, log };
}

/** Kills the device `times` times, places chosen by `seed`, on one disk and one TPM, and lets it come to rest at last. */
export async function uncleanRestarts(
  world: World,
  library: string,
  times: number,
  seed: number,
  tally: Tally,
): Promise<Violation[]> {
  putBackDisks(world);
  const random = seeded(seed);
  const faults: Violation[] = [];
  await using life = await Life.begin(world, world.rest, 'cut');
  const began = Date.now();
  for (let time = 1; time <= times; time++) {
    tally.restarts += 1;
    const { child, log } = startChild(
      world,
      library,
      world.stage.path('child-control'),
      Math.floor(random() * OPERATIONS),
    );
    const gone = once(child, 'exit');
    let dead = false;
    void gone.then(() => (dead = true));
    const wish = WISHES[time % WISHES.length] ?? 'ill';
    const { slots } = await life.show();
    if (slots[0]?.release !== world.ids[wish]) await life.command(world.ids[wish], null);
    // A device that has nothing left to do does not come to its end by itself.
    await life.untilAny((device) => {
      faults.push(...verdictFaults(device, began).map((fault) => `restart ${time}: ${fault}`));
      return dead || atRest(device, Date.now() - 1000);
    }, LIMIT_MS);
    child.kill('SIGKILL');
    await gone;
    log.close();
    if (time % 3 === 0) {
      await world.tpm.kill();
      await world.tpm.start();
    }
  }
  tally.restarts += 1;
  const last = Date.now();
  life.startAgent();
  const rests = await life.until((device) => atRest(device, last), LIMIT_MS);
  if (!rests) return [...new Set(faults), `not at rest after ${times} unclean restarts`];
  faults.push(...verdictFaults(await life.show(), last), ...restFaults(world, await life.show()));
  if (!(await life.attest())) faults.push('it did not answer at the end');
  await life.stopAgent();
  return [...new Set([...faults, ...diskFaults(world)])];
}
