// What is rehearsed: a profile as this machine can play it, and the slot that a release is for.
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { toUtf8 } from '../bytes/text.ts';
import { TouchstoneError } from '../errors.ts';
import { loadProfile } from '../profile/profile.ts';
import type { EngineProfile, LoadedProfile, Profile, SlotProfile } from '../profile/profile.ts';
import type { Passport } from '../release/types.ts';

export interface PlayableProfile {
  readonly loaded: LoadedProfile;
  readonly bytes: Uint8Array;
  /** What had to be left out or moved, in sentences; empty: the profile is played byte for byte. */
  readonly notes: readonly string[];
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function inCompiler(engine: EngineProfile, inRoot: (path: string) => string): EngineProfile {
  const [program = '', ...args] = engine.command;
  return { ...engine, command: [inRoot(program), ...args] };
}

/**
 * The profile as this machine can play it. `root`: a firmware image's folder, in which the device's absolute paths are looked for.
 * Errors: USAGE for a root that would become part of a pattern.
 */
export async function playable(
  original: LoadedProfile,
  bytes: Uint8Array,
  root: string | null,
): Promise<PlayableProfile> {
  const { profile } = original;
  if (root !== null && /[*?]/.test(resolve(root)))
    throw new TouchstoneError('USAGE', `--root ${root} may hold no * and ?`);
  const inRoot = (path: string): string => (root === null ? path : join(resolve(root), path));
  const notes: string[] = [];
  let { runtime } = profile;
  if (runtime !== null) {
    if (await isThere(inRoot(runtime))) runtime = inRoot(runtime);
    else {
      notes.push(`the runtime ${runtime} is not on this machine: it was not measured`);
      runtime = null;
    }
  }
  const hasConfigs = profile.slots.some((slot) => slot.configs.length > 0);
  if (hasConfigs && root === null)
    notes.push('configs are those of this machine: give --root for those of a firmware image');
  // One release fills one slot: that the others are empty here says nothing against it.
  const alone = profile.slots.length === 1;
  if (!alone && profile.slots.some((slot) => slot.required)) {
    notes.push('the slots that the release is not for are empty here, and that is not held against the device');
  }
  const slots: SlotProfile[] = [];
  for (const { healthUser, engine, ...slot } of profile.slots) {
    const configs = slot.configs.map((config) => ({ ...config, path: inRoot(config.path) }));
    const commands = { ...slot };
    for (const name of ['runtimeCommand', 'healthCommand'] as const) {
      const [program = '', ...args] = slot[name] ?? [];
      if (program === '') continue;
      if (root !== null && (await isThere(inRoot(program)))) commands[name] = [inRoot(program), ...args];
      else if (!(await isThere(program)))
        notes.push(`${program} is not on this machine: health checks of slot ${slot.name} fail`);
    }
    // Only root may become somebody else.
    const keepsUser = healthUser !== undefined && process.getuid?.() === 0;
    if (healthUser !== undefined && !keepsUser)
      notes.push(`health checks of slot ${slot.name} run as this user, not as ${healthUser.uid}`);
    // Without the runtime nothing can compile, and the model is tried as it is.
    const compiler = runtime === null || engine === undefined ? null : inCompiler(engine, inRoot);
    if (engine !== undefined && compiler === null) notes.push(`no engine is compiled for slot ${slot.name}`);
    slots.push({
      ...commands,
      configs,
      required: slot.required && alone,
      ...(keepsUser ? { healthUser } : {}),
      ...(compiler === null ? {} : { engine: compiler }),
    });
  }
  const edited: Profile = { ...profile, runtime, slots };
  if (isDeepStrictEqual(edited, profile)) return { loaded: original, bytes, notes };
  const made = toUtf8(`${JSON.stringify(edited, null, 2)}\n`);
  return { loaded: loadProfile(made, 'the profile as it is rehearsed'), bytes: made, notes };
}

/** Where the release belongs; one that belongs nowhere goes where its model or role would, so that the device says why not. */
export function slotFor(profile: Profile, passport: Pick<Passport, 'modelId' | 'slotRole'>): SlotProfile {
  const takesModel = (slot: SlotProfile): boolean => slot.modelIds.includes(passport.modelId);
  const hasRole = (slot: SlotProfile): boolean => slot.role === passport.slotRole;
  const { slots } = profile;
  const found =
    slots.find((slot) => takesModel(slot) && hasRole(slot)) ??
    slots.find(takesModel) ??
    slots.find(hasRole) ??
    slots[0];
  if (found === undefined) throw new TypeError('a profile has at least one slot');
  return found;
}

/** Errors: USAGE when the profile has no slot of this name. */
export function slotNamed(profile: Profile, name: string): SlotProfile {
  const found = profile.slots.find((slot) => slot.name === name);
  if (found !== undefined) return found;
  const names = profile.slots.map((slot) => slot.name).join(', ');
  throw new TouchstoneError('USAGE', `profile ${profile.id} has no slot ${name}; it has: ${names}`);
}
