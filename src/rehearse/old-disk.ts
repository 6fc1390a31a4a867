// The scenes after an older disk was put back: the floor in the TPM, a trial that fails, and a power cut in an installation.
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import { isGone, tamperWith } from '../testing/tamper.ts';
import type { Cast, Scene } from './cast.ts';
import { endSeen, fallback, inSlot, installs, isLoadable, judged, newVerdict } from './judged.ts';
import { diskUse } from './observe.ts';
import { TITLES } from './acts.ts';

const WORDS = {
  release: 'the release is in the slot',
  before: 'the release of before is in the slot',
  nothing: 'the slot is empty',
  other: 'something else is in the slot',
} as const;

/** The disk that was copied before the installation comes back. Everything after it starts from there. */
export function floor(cast: Cast): Scene {
  const { sandbox, slot, release, from } = cast;
  const version = release.passport.securityVersion;
  const expected =
    slot.floor === undefined
      ? `no floor in the profile: the old disk is believed, ${WORDS[fallback(cast)]}`
      : `the TPM holds floor ${version}: ${fallback(cast) === 'nothing' && from !== null ? 'the release of before is refused: release-older' : WORDS[fallback(cast)]}`;
  return {
    name: 'floor',
    title: TITLES.floor,
    command: '(a disk image)',
    expected,
    essential: true,
    play: async () => {
      const heldBy = (floors: readonly { slot: string; floor: number }[]): number | null =>
        floors.find((one) => one.slot === slot.name)?.floor ?? null;
      const wanted = slot.floor === undefined ? null : version;
      await sandbox.until('the floor rises after the trial', (one) => heldBy(one.floors) === wanted);
      const before = (await sandbox.show()).verdict?.at ?? 0;
      await sandbox.putDiskBack();
      await sandbox.powerOn();
      const device = await newVerdict(cast, before, 'evidence from the old disk', () => true);
      const [holds, held] = [inSlot(cast, device), heldBy(device.floors)];
      const saw = `${verdictWords(device)}; ${WORDS[holds]}; floor ${held ?? 'none'}`;
      const asExpected = holds === fallback(cast) && held === wanted;
      if (!asExpected || slot.floor === undefined || from === null || holds !== 'nothing') {
        return { ok: asExpected, saw };
      }
      const tried = await installs(cast, from);
      return { ok: tried.rule === 'release-older', saw: `${saw}; the release of before: ${tried.saw}` };
    },
  };
}

/** Longest time from the command to the trial, and from the changed bit to its end: some read the whole model. */
const TRIAL_MS = 60_000;

/** Whether the slot's link came to lead to the release, or `away` from it. */
async function isTurned({ sandbox, slot, release }: Cast, way: 'here' | 'away'): Promise<boolean> {
  const link = join(sandbox.deviceState, 'slots', slot.name);
  for (const last = performance.now() + TRIAL_MS; performance.now() < last; await delay(2)) {
    const leadsHere = (await readlink(link).catch(() => '')).endsWith(release.id);
    if (leadsHere === (way === 'here')) return true;
  }
  return false;
}

/**
 * The id of the command. The controller stands still from before the device hears of it until the device has seen the changed bit: evidence of
 * a moment before would let the trial pass.
 */
async function spoilTrial(cast: Cast): Promise<string> {
  const { sandbox, slot, release } = cast;
  const { agent, controller } = sandbox;
  agent.suspend();
  try {
    // Answered once the broker has the command.
    const command = await sandbox.giveUpgrade(release.id, { slot: slot.name });
    controller.suspend();
    agent.resume();
    if (await isTurned(cast, 'here')) {
      await tamperWith(sandbox.modelFolder(slot.name)).catch((error: unknown) => {
        // The device may take the model away at the first sign of it, while we still write.
        if (!isGone(error)) throw error;
      });
      await isTurned(cast, 'away');
    }
    return command;
  } finally {
    agent.resume();
    controller.resume();
  }
}

export function rollBack(cast: Cast): Scene {
  return {
    name: 'roll-back',
    title: TITLES['roll-back'],
    command: 'touchstone upgrade DEVICE --release ID, and one bit',
    expected: `rolled back: ${WORDS[fallback(cast)]}${fallback(cast) === 'before' ? ', loadable' : ''}`,
    play: async () => {
      const command = await spoilTrial(cast);
      const outcomeIn = (one: ShownDevice): ShownDevice['commands'][number]['outcome'] =>
        one.commands.find(({ id }) => id === command)?.outcome ?? null;
      const device = await cast.sandbox.until(
        'the trial is over',
        (one) => outcomeIn(one) !== null && inSlot(cast, one) !== 'release',
      );
      const { kind, rule, detail } = outcomeIn(device) ?? { kind: '', rule: '', detail: '' };
      const holds = inSlot(cast, device);
      const loadable = holds === 'before' && (await isLoadable(cast));
      const ok = kind === 'rolled-back' && holds === fallback(cast) && loadable === (holds === 'before');
      const now = holds === 'before' ? `${WORDS[holds]}, ${loadable ? '' : 'not '}loadable` : WORDS[holds];
      return { ok, saw: `${kind}: ${rule}: ${detail}; ${now}` };
    },
  };
}

/** Waits for the first byte of a copy, and answers how many there were; 0 after a second in which none came. */
async function growth(folder: string, held: number): Promise<number> {
  for (const last = performance.now() + 1000; performance.now() < last; await delay(1)) {
    // Folders come and go meanwhile.
    const there = await diskUse(folder).catch(() => held);
    if (there > held) return there - held;
  }
  return 0;
}

export function cutInstall(cast: Cast): Scene {
  const { sandbox, slot, release } = cast;
  return {
    name: 'cut-install',
    title: TITLES['cut-install'],
    command: 'touchstone upgrade DEVICE --release ID, and SIGKILL',
    expected: `one loadable signed model or none, and the release can be installed again`,
    play: async () => {
      const store = join(sandbox.deviceState, 'releases');
      const held = await diskUse(store);
      const { ended } = await sandbox.beginUpgrade(release.id, { slot: slot.name });
      const there = await growth(store, held);
      await sandbox.cutPower();
      const before = (await sandbox.show()).verdict?.at ?? 0;
      await sandbox.powerOn();
      const device = await newVerdict(cast, before, 'attested after the cut', () => true);
      const holds = inSlot(cast, device);
      const known = holds !== 'other' && (holds === 'nothing' ? fallback(cast) === 'nothing' : judged(device).ok);
      const first = endSeen(await ended);
      const last = first.ok ? first : await installs(cast, release);
      const loadable = last.ok && (await isLoadable(cast));
      const ok = known && loadable;
      const after = `cut when ${there} bytes of it were on the disk; then ${WORDS[holds]}, ${verdictWords(device)}`;
      const words = `${after}; ${first.saw}`;
      const end = loadable ? 'loadable' : 'not loadable';
      return { ...last, ok, saw: `${first.ok ? words : `${words}; again: ${last.saw}`}; ${end}` };
    },
  };
}
