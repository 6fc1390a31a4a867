// Plays one release against one profile on this machine, from its signatures to its tampering, and says how it went.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { STATE_FILES } from '../controller/settings.ts';
import { ConfigError, ReleaseError } from '../errors.ts';
import { HashPool } from '../files/hash-pool.ts';
import { loadProfile } from '../profile/profile.ts';
import type { LoadedProfile, SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import { addRelease } from '../release/publisher-releases.ts';
import { loadTrust } from '../release/root.ts';
import { play } from '../testing/play.ts';
import type { Played, Seen, Step } from '../testing/play.ts';
import type { Signers } from '../testing/private-fleet.ts';
import type { Sandbox } from '../testing/sandbox.ts';
import type { Stage } from '../testing/stage.ts';
import { startSandbox } from '../testing/start-sandbox.ts';
import type { Facts, Limits } from './cast.ts';
import { playable, slotFor, slotNamed } from './plan.ts';
import { scenes } from './scenes.ts';
import type { Scene } from './scenes.ts';

export interface RehearsalPlan {
  /** The binary's file. */
  readonly main: string;
  readonly profileFile: string;
  /** Release folders; `from`: what the devices run now, or null. */
  readonly release: string;
  readonly from: string | null;
  readonly signers: Signers;
  /** Null: the slot that the release is for. */
  readonly slot: string | null;
  /** Folder of a firmware image, or null. */
  readonly root: string | null;
  readonly limits: Limits;
}

export interface PlayedScene extends Played {
  readonly name: string;
}

export interface Rehearsal {
  readonly profile: LoadedProfile;
  readonly slot: SlotProfile | null;
  readonly release: SignedRelease | null;
  readonly from: SignedRelease | null;
  readonly played: readonly PlayedScene[];
  /** Scenes that were not reached. */
  readonly unplayed: readonly Scene[];
  readonly facts: Facts;
  readonly notes: readonly string[];
}

/** Hears of each scene before and after it is played. */
export interface Told {
  before(step: Step): void;
  after(played: Played): void;
}

/** A release that is not there is no bad release. */
async function assertFolder(folder: string): Promise<void> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new ReleaseError('RELEASE_INVALID', `there is no release folder ${folder}`);
}

/** The fleet takes a release in, as `release add` does. */
async function takeIn(sandbox: Sandbox, folder: string, into: (release: SignedRelease) => void): Promise<Seen> {
  const at = async (name: string): Promise<Buffer> => readFile(join(sandbox.controllerState, name));
  const trust = loadTrust(await at(STATE_FILES.fleet), await at(STATE_FILES.root), Date.now(), 0);
  await using pool = new HashPool();
  const releases = join(sandbox.controllerState, STATE_FILES.releases);
  const { signal } = sandbox.stage;
  const added = await addRelease({ from: folder, releases, trust, pool, link: false, signal });
  if (!added.ok) {
    const [first] = added.findings;
    const more = added.findings.map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`);
    return { ok: false, saw: `refused: ${more[0] ?? ''}`, more, ...(first === undefined ? {} : { rule: first.rule }) };
  }
  into(added.release);
  const { modelId, version, securityVersion } = added.release.passport;
  return {
    ok: true,
    saw: `${modelId} ${version}, security version ${securityVersion}: release ${added.release.id.slice(0, 12)}`,
  };
}

function signedScene(
  sandbox: Sandbox,
  folder: string,
  which: 'release' | 'from',
  into: (release: SignedRelease) => void,
): Scene {
  const isFrom = which === 'from';
  return {
    name: isFrom ? 'signed-before' : 'signed',
    title: isFrom
      ? 'The release of before is what a publisher signed'
      : 'The release is what a publisher signed, byte for byte',
    command: 'touchstone release add RELEASE',
    expected: 'signed by a key that may sign this model; every file as signed',
    essential: true,
    play: async () => takeIn(sandbox, folder, into),
  };
}

/**
 * Plays everything on `stage`, which the caller closes. Errors: ConfigError for a bad profile; CONFIG_MISSING when swtpm or mosquitto is
 * not installed; TPM_UNAVAILABLE, BUS_UNAVAILABLE, CONTROL_UNAVAILABLE when the fleet cannot be started here.
 */
export async function rehearse(plan: RehearsalPlan, stage: Stage, told: Told): Promise<Rehearsal> {
  const bytes = await readFile(plan.profileFile).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${plan.profileFile}`, { cause });
  });
  const profile = loadProfile(bytes, plan.profileFile);
  for (const folder of plan.from === null ? [plan.release] : [plan.release, plan.from]) await assertFolder(folder);
  const named = plan.slot === null ? null : slotNamed(profile.profile, plan.slot);
  const played = await playable(profile, bytes, plan.root);
  const { sandbox, enrolled } = await startSandbox(stage, {
    main: plan.main,
    profile: played.loaded,
    profileBytes: played.bytes,
    signers: plan.signers,
  });
  const found: { release: SignedRelease | null; from: SignedRelease | null } = { release: null, from: null };
  const facts: Facts = { resources: null, run: null, warnings: [] };
  const done: PlayedScene[] = [];
  /** True when all went as expected, as far as anything after it depends on it. */
  const playAll = async (list: readonly Scene[]): Promise<readonly Scene[]> => {
    const results = await play(list, told, () => performance.now());
    done.push(...results.map((one, index) => ({ ...one, name: list[index]?.name ?? '' })));
    stage.signal.throwIfAborted();
    return list.slice(results.length);
  };
  const end = (unplayed: readonly Scene[], slot: SlotProfile | null): Rehearsal => ({
    profile,
    slot,
    ...found,
    played: done,
    unplayed,
    facts,
    notes: played.notes,
  });

  const signed = [
    signedScene(sandbox, plan.release, 'release', (release) => (found.release = release)),
    ...(plan.from === null ? [] : [signedScene(sandbox, plan.from, 'from', (release) => (found.from = release))]),
  ];
  const left = await playAll(signed);
  const { release, from } = found;
  if (release === null || (plan.from !== null && from === null)) return end(left, named);
  const slotOf = (one: LoadedProfile): SlotProfile =>
    named === null ? slotFor(one.profile, release.passport) : slotNamed(one.profile, named.name);
  const slot = slotOf(played.loaded);
  await enrolled;
  const installs = [...(from === null ? [] : [{ slot: slot.name, release: from }]), { slot: slot.name, release }];
  const cast = {
    sandbox,
    profile: played.loaded.profile,
    profileDigest: played.loaded.digest,
    slot,
    release,
    installs,
    limits: plan.limits,
    facts,
  };
  return end(await playAll(scenes(cast, from)), slotOf(profile));
}
