// What must hold after any cut: on the disk before anybody starts on it, and when the device has come back.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceDetail } from '../../../src/controller/views.ts';
import { SLOT } from '../../../src/demo/theatre.ts';
import { SqliteJournal } from '../../../src/store/sqlite-journal.ts';
import { Disk } from './disk.ts';
import type { Image } from './disk.ts';
import { EVERYTHING } from './survivals.ts';
import { RELEASES } from './world.ts';
import type { ReleaseName, World } from './world.ts';

/** A rule of the proof that did not hold, in words. */
export type Violation = string;

const MODEL_FILES = ['weights.bin', 'labels/labels.txt'] as const;

/** Whatever a verdict may say of this device, which has a software TPM and was cut off its power. */
const USUAL: ReadonlySet<string> = new Set(['tier-software']);

export function nameOf(world: World, id: string | null | undefined): ReleaseName | null {
  const names = Object.keys(RELEASES) as ReleaseName[];
  return names.find((name) => world.ids[name] === id) ?? null;
}

/** What a consumer opens through the slot: one of the releases, whole and as it was signed; else what is wrong with it. */
export function loadable(
  world: World,
  image: Image,
): { readonly release: ReleaseName | null; readonly wrong: Violation | null } {
  const target = image.get(`slots/${SLOT}`)?.target;
  if (target === undefined || target === null) return { release: null, wrong: 'the slot leads to nothing' };
  const id = target.replace('../releases/', '');
  const release = nameOf(world, id);
  if (release === null) return { release, wrong: `the slot leads to ${target}` };
  const folder = `releases/${id}/model/`;
  const files = [...image.keys()].filter((path) => path.startsWith(folder) && !path.endsWith('/'));
  const wanted = MODEL_FILES.map((name) => `${folder}${name}`);
  if (files.toSorted().join() !== wanted.toSorted().join())
    return { release, wrong: `${release} has files ${files.join()}` };
  for (const name of MODEL_FILES) {
    const signed = readFileSync(world.stage.path('models', release, name));
    if (image.get(`${folder}${name}`)?.bytes.equals(signed) !== true) {
      return { release, wrong: `${release} is not as it was signed: ${name}` };
    }
  }
  return { release, wrong: null };
}

/** What the controller may not have said of the device since `began`. */
export function verdictFaults({ verdict, trouble }: DeviceDetail, began: number): Violation[] {
  const said = [verdict, trouble].filter((one) => one !== null && one.at >= began);
  return said.flatMap((one) => {
    const rules = (one?.findings ?? []).filter(({ rule }) => !USUAL.has(rule)).map(({ rule }) => rule);
    if (one?.status === 'warning' && rules.length === 0) return [];
    return [`the controller said ${one?.status ?? ''}: ${rules.join(', ')}`];
  });
}

/** Whether the device has come to rest since `began`: attested, no trial open, nothing outstanding. */
export function atRest({ verdict, slots, commands }: DeviceDetail, began: number): boolean {
  const still = slots.every(({ slot, state }) => slot === SLOT && state === 'active');
  return verdict !== null && verdict.at >= began && still && commands.every(({ outcome }) => outcome !== null);
}

/** Of a device at rest, as the controller sees it. */
export function restFaults(world: World, { slots, floors, commands, history }: DeviceDetail): Violation[] {
  const faults: Violation[] = [];
  const held = nameOf(world, slots[0]?.release);
  if (held === null) return ['it came to rest without a release'];
  const floor = floors.find(({ slot }) => slot === SLOT)?.floor;
  if (floor !== RELEASES[held]) faults.push(`release ${held} runs and the floor is ${floor ?? 'gone'}`);
  for (const { body, outcome } of commands) {
    const { release } = body as { release?: string };
    const wanted = nameOf(world, release);
    const { kind } = outcome as { kind: string };
    const backed = history.some(({ text }) => text.includes('rolled') && text.includes(release?.slice(0, 12) ?? ''));
    if (kind === 'activated' && wanted !== held && wanted !== 'one' && !backed) {
      faults.push(`release ${wanted ?? ''} was activated and is gone, and no report says why`);
    }
  }
  return faults;
}

/** Of the disk, when the agent was stopped after it came to rest. */
export function diskFaults(world: World): Violation[] {
  const image = new Disk(world.deviceState).image(EVERYTHING);
  const { wrong } = loadable(world, image);
  const faults = wrong === null ? [] : [wrong];
  // Whatever a cut leaves behind is swept: a thousand cuts must not fill the disk.
  for (const path of image.keys()) {
    if (/(?:^|\/)\.(?:touchstone-tmp|staging|ready|old)-/.test(path)) faults.push(`left behind: ${path}`);
  }
  // Read in this thread: another one would take longer to start than all the rest.
  const journal = new SqliteJournal(join(world.deviceState, 'journal.sqlite'));
  for (const { kind, rule, detail } of journal.reports()) {
    faults.push(`a report was never acknowledged: ${kind} ${rule} ${detail}`);
  }
  for (const { state, staged } of journal.slots()) {
    if (state !== 'COMMITTED' || staged !== null) faults.push(`the slot rests in ${state}`);
  }
  journal.close();
  return faults;
}
