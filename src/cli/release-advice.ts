// What a person should know of a release that was just taken in: whether any device takes it, and over what.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { STATE_FILES } from '../controller/settings.ts';
import { judgeFormats } from '../gate/formats/policy.ts';
import { inspectProfile } from '../profile/profile.ts';
import type { Profile } from '../profile/profile.ts';
import type { ListedRelease } from '../release/publisher-releases.ts';
import { listModel } from '../release/model-files.ts';
import type { SignedRelease } from '../release/open.ts';
import { MODEL_FOLDER } from '../release/release-folder.ts';

async function profilesOf(state: string): Promise<Profile[]> {
  const folder = join(state, STATE_FILES.profiles);
  const names = await readdir(folder).catch(() => []);
  const read = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .map(async (name) => inspectProfile(await readFile(join(folder, name)))),
  );
  return read.flatMap((one) => ('loaded' in one ? [one.loaded.profile] : []));
}

function isTaken({ passport }: SignedRelease, profile: Profile): boolean {
  const { modelId, slotRole, hardwareClass } = passport;
  return (
    hardwareClass.includes(profile.hardwareClass) &&
    profile.slots.some((slot) => slot.role === slotRole && slot.modelIds.includes(modelId))
  );
}

/** What devices of these profiles will say of the model's formats, in sentences. */
async function formatAdvice(folder: string, profiles: readonly Profile[]): Promise<string[]> {
  const model = join(folder, MODEL_FOLDER);
  const { files } = await listModel(model, () => false);
  const advice: string[] = [];
  for (const { id, formats } of profiles) {
    const [fault] = await judgeFormats(model, files, formats ?? null);
    if (fault !== undefined) {
      advice.push(
        `devices of profile ${id} refuse it: ${fault.rule}: expected ${fault.expected}, found ${fault.found}`,
      );
    }
  }
  return advice;
}

/** Sentences; none is a judgement. `folder`: the release as the fleet has it; `listed`: all that it has. */
export async function adviceOn(
  release: SignedRelease,
  folder: string,
  state: string,
  listed: readonly ListedRelease[],
): Promise<string[]> {
  const advice: string[] = [];
  const { modelId, slotRole, hardwareClass, securityVersion } = release.passport;
  const profiles = await profilesOf(state);
  const taking = profiles.filter((profile) => isTaken(release, profile));
  if (taking.length === 0) {
    const wanted = `model ${modelId} in role ${slotRole} on ${hardwareClass.join(' or ')}`;
    advice.push(
      profiles.length === 0
        ? `no device takes it yet: the controller has no profile in ${join(state, STATE_FILES.profiles)}`
        : `no device takes it: none of the controller’s profiles has a slot for ${wanted}`,
    );
  }
  advice.push(...(await formatAdvice(folder, taking)));
  const newer = listed.flatMap(({ opened }) =>
    opened.ok &&
    opened.release.passport.modelId === modelId &&
    opened.release.passport.securityVersion > securityVersion
      ? [opened.release.passport.version]
      : [],
  );
  if (newer.length > 0) advice.push(`devices that run ${newer.join(' or ')} refuse it: its security version is lower`);
  return advice;
}
