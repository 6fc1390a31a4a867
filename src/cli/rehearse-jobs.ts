// What `touchstone rehearse` plays: each profile with each release of before, or what a fleet's export says that devices are and run.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, TouchstoneError } from '../errors.ts';
import type { KnownFleet } from '../rehearse/fleet-export.ts';
import type { Group } from '../rehearse/jobs.ts';
import type { ProfileFile, RehearsalSigners } from '../rehearse/signers.ts';
import { isWebSource } from '../transfer/source-url.ts';
import { readPublicKey } from './keys.ts';

export interface JobOptions {
  readonly release: string;
  readonly profile?: readonly string[];
  readonly key?: readonly string[];
  readonly fleet?: string;
  readonly from?: readonly string[];
  readonly slot?: string;
}

export interface Job {
  readonly profile: ProfileFile;
  /** Release folder of what the devices run now, or null. */
  readonly from: string | null;
  readonly signers: RehearsalSigners;
  /** Whom it is played for; null: nobody in particular. */
  readonly group: Group | null;
  readonly notes: readonly string[];
}

export interface Jobs {
  readonly jobs: readonly Job[];
  /** About the fleet as a whole. */
  readonly notes: readonly string[];
}

async function profileFile(file: string): Promise<ProfileFile> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  return { name: file, bytes };
}

/** The profiles of a controller's state directory. */
async function profilesIn(dir: string): Promise<ProfileFile[]> {
  const folder = join(dir, 'profiles');
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `${dir} holds no profiles: give --profile FILE`, { cause });
  });
  const files = names.filter((name) => name.endsWith('.json')).toSorted();
  if (files.length === 0) throw new ConfigError('CONFIG_MISSING', `${folder} is empty: give --profile FILE`);
  return Promise.all(files.map(async (name) => profileFile(join(folder, name))));
}

/** One job for each group of devices that are alike. */
async function jobsOfFleet(fleet: KnownFleet, signers: RehearsalSigners, options: JobOptions): Promise<Jobs> {
  const [{ groupsOf }, { namedRelease }] = await Promise.all([
    import('../rehearse/jobs.ts'),
    import('../rehearse/signers.ts'),
  ]);
  const { release, from = [], slot = null } = options;
  const given = await Promise.all(from.map(async (folder) => ({ folder, id: (await namedRelease(folder))?.id })));
  const { groups, notes } = groupsOf(fleet, (await namedRelease(release))?.passport ?? null, slot);
  if (groups.length === 0) {
    throw new TouchstoneError(
      'USAGE',
      `the release is for no device of this fleet: ${notes.join('; ') || 'it has none'}`,
    );
  }
  const jobs = groups.map((group): Job => {
    const profile = fleet.profiles.get(group.profile);
    if (profile === undefined) throw new TypeError('a group has a profile of its fleet');
    const found = given.find(({ id }) => id === group.running)?.folder ?? null;
    const missing =
      group.running !== null && found === null
        ? [`the upgrade from release ${group.running.slice(0, 12)}, which they run: give its folder with --from`]
        : [];
    return {
      profile: { name: `profile ${group.profile}`, bytes: profile.bytes },
      from: found,
      signers,
      group,
      notes: missing,
    };
  });
  return { jobs, notes };
}

/** Errors: USAGE; ConfigError; ReleaseError. */
export async function jobsOf(options: JobOptions): Promise<Jobs> {
  const { release, profile, key = [], fleet, from = [] } = options;
  const { signersByKey, signersOf, signersOfFleet } = await import('../rehearse/signers.ts');
  const froms = from.length === 0 ? [null] : from;
  const each = async (files: readonly ProfileFile[], signers: (file: ProfileFile) => Promise<RehearsalSigners>) => ({
    jobs: (
      await Promise.all(
        files.map(async (file) => {
          const named = await signers(file);
          return froms.map((before): Job => ({ profile: file, from: before, signers: named, group: null, notes: [] }));
        }),
      )
    ).flat(),
    notes: [],
  });
  const files = profile === undefined ? null : await Promise.all(profile.map(profileFile));
  if (fleet === undefined) {
    if (files === null) {
      throw new TouchstoneError('USAGE', 'give --profile FILE, or --fleet with a controller’s profiles');
    }
    const keys = await Promise.all(key.map(readPublicKey));
    return each(files, async (file) => signersByKey(keys, file, [release, ...from]));
  }
  const isFolder = !isWebSource(fleet) && (await stat(fleet).catch(() => null))?.isDirectory() === true;
  if (isFolder) {
    const signers = await signersOfFleet(fleet, Date.now());
    return each(files ?? (await profilesIn(fleet)), async () => signers);
  }
  const [{ exportBytes }, { readFleetExport }] = await Promise.all([
    import('../rehearse/fetch-export.ts'),
    import('../rehearse/fleet-export.ts'),
  ]);
  const known = readFleetExport(await exportBytes(fleet, new AbortController().signal), fleet, Date.now());
  const signers = signersOf(known.trust);
  return files === null ? jobsOfFleet(known, signers, options) : each(files, async () => signers);
}
