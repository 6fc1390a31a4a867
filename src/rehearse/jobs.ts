// Which rehearsals a fleet needs: one for each profile and each release that runs there now, in the name of all devices alike.
import type { Profile } from '../profile/profile.ts';
import type { Passport } from '../release/types.ts';
import type { KnownFleet } from './fleet-export.ts';
import { slotFor } from './plan.ts';

/** Devices that are alike as far as a release can tell. */
export interface Group {
  readonly profile: string;
  /** Release id in the slot that the release is for; null: the slot is empty. */
  readonly running: string | null;
  /** Version floor of that slot; null: none was heard. */
  readonly floor: number | null;
  readonly devices: number;
}

export interface Grouped {
  readonly groups: readonly Group[];
  /** In sentences: who is not played, and why. */
  readonly notes: readonly string[];
}

/** For whom a release is. */
type Meant = Pick<Passport, 'modelId' | 'slotRole' | 'hardwareClass'>;

/** What decides on its own that devices of a profile were never to get this release. */
function isMeant(profile: Profile, { modelId, slotRole, hardwareClass }: Meant): boolean {
  return (
    hardwareClass.includes(profile.hardwareClass) &&
    profile.slots.some((slot) => slot.role === slotRole && slot.modelIds.includes(modelId))
  );
}

/** `slot`: its name, or null for the one that the release is for. `passport` null: it cannot be read, and is played for every profile. */
export function groupsOf(fleet: KnownFleet, passport: Meant | null, slot: string | null): Grouped {
  const groups = new Map<string, Group>();
  const left = new Map<string, number>();
  const leave = (why: string): void => {
    left.set(why, (left.get(why) ?? 0) + 1);
  };
  for (const device of fleet.devices) {
    const profile = fleet.profiles.get(device.profile)?.loaded.profile;
    if (profile === undefined) leave(`the profile ${device.profile} is not in the export`);
    else if (passport !== null && !isMeant(profile, passport)) leave(`the release is not meant for ${profile.id}`);
    else {
      const played = slot ?? (passport === null ? profile.slots[0]?.name : slotFor(profile, passport).name) ?? '';
      const running = device.slots.find((one) => one.slot === played)?.release ?? null;
      const floor = device.floors.find((one) => one.slot === played)?.floor ?? null;
      const key = JSON.stringify([profile.id, running, floor]);
      const before = groups.get(key)?.devices ?? 0;
      groups.set(key, { profile: profile.id, running, floor, devices: before + 1 });
    }
  }
  // The most devices first.
  const sorted = [...groups.values()].toSorted((a, b) => b.devices - a.devices);
  return { groups: sorted, notes: [...left].map(([why, count]) => `${count} of the fleet's devices: ${why}`) };
}
