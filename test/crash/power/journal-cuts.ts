// A journal that lost its end behind a living TPM: the agent comes back, and the controller never hears that nothing is missing.
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteJournal } from '../../../src/store/sqlite-journal.ts';
import type { Cut, Tally } from './cuts.ts';
import { Disk, writeImage } from './disk.ts';
import { loadable, verdictFaults } from './judge.ts';
import type { Violation } from './judge.ts';
import { endWords, Life } from './life.ts';
import { EVERYTHING, seeded } from './survivals.ts';
import type { World } from './world.ts';

const LIMIT_MS = 60_000;

/** The records of the journal in this folder, in order; none where it cannot be read. */
function recordsIn(folder: string): string[] {
  const path = join(folder, 'journal.sqlite');
  if (!existsSync(path)) return [];
  const journal = new SqliteJournal(path);
  const head = journal.head();
  const records = head === null || head.seq === 0 ? [] : journal.records(1, head.seq);
  journal.close();
  return records.map((record) => record.toString('hex'));
}

/** What the journal of this disk holds, read from a copy of it: whoever opens it changes it. */
function recordsOf(world: World, cut: Cut): string[] {
  const copy = world.stage.path('copy');
  writeImage(cut.device, copy);
  return recordsIn(copy);
}

/** Cuts the journal of the disk at a place chosen by `seed`. Answers where. */
function truncate(world: World, seed: number): string {
  const random = seeded(seed);
  const parts = ['journal.sqlite', 'journal.sqlite-wal'].filter((name) => {
    const path = join(world.deviceState, name);
    return existsSync(path) && statSync(path).size > 0;
  });
  const part = parts[Math.floor(random() * parts.length)] ?? '';
  const path = join(world.deviceState, part);
  const at = Math.floor(random() * statSync(path).size);
  truncateSync(path, at);
  return `${part} cut at ${at}`;
}

/** What the started-over journal says of it, and what the controller was told already. */
async function saidLost(world: World, life: Life): Promise<boolean> {
  const journal = new SqliteJournal(join(world.deviceState, 'journal.sqlite'));
  const kept = journal.reports().some(({ rule }) => rule === 'journal-started-over');
  journal.close();
  return kept || (await life.show()).history.some(({ text }) => text.includes('journal'));
}

/** The agent starts on the disk of `cut`, whose journal is cut off at a place chosen by `seed`. */
export async function truncatedJournal(world: World, cut: Cut, seed: number, tally: Tally): Promise<Violation[]> {
  const records = recordsOf(world, cut);
  writeImage(cut.device, world.deviceState);
  writeImage(cut.controller, world.controllerState);
  const name = `${cut.name}, ${truncate(world, seed)}`;
  const faults: Violation[] = [];
  await using life = await Life.begin(world, cut.instant, 'kept');
  const began = Date.now();
  tally.restarts += 1;
  const heard = life.listen();
  life.startAgent();
  let unusual = false;
  const back = await life.until((device) => {
    unusual ||= verdictFaults(device, began).length > 0;
    const judged = [device.verdict, device.trouble].some((said) => (said?.at ?? 0) >= began);
    // Its papers were in the journal: it asks to be let in again, and nobody takes it for the device it was before.
    return judged || heard.some((line) => line.includes('asking the controller to enrol'));
  }, LIMIT_MS);
  if (!back) faults.push(`it did not come back: ${life.agentRuns ? 'it runs' : endWords(life.agentEnd)}`);
  await life.stopAgent();
  const { wrong } = loadable(world, new Disk(world.deviceState).image(EVERYTHING));
  // A journal that lost a commitment may not open what is below the floor, and says so.
  if (wrong !== null && !heard.some((line) => line.includes('no loadable model'))) faults.push(wrong);
  const startedOver = readdirSync(world.deviceState).some((file) => file.includes('.corrupt-1'));
  if (startedOver && !(await saidLost(world, life))) faults.push('it started over and does not say so');
  const now = recordsIn(world.deviceState);
  // What was recorded before the TPM began anew is in no PCR any more.
  const whole = cut.instant.changes === 0 || records.every((record, at) => now[at] === record);
  const judged = ((await life.show()).verdict?.at ?? 0) >= began;
  if (!whole && judged && !unusual) faults.push('records are missing and no verdict says so');
  return faults.map((fault) => `${name}: ${fault}`);
}
