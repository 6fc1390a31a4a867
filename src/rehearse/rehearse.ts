// Plays one release against one profile on this machine, from its signatures to its tampering, and says how it went.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { STATE_FILES } from '../controller/settings.ts';
import { ReleaseError } from '../errors.ts';
import { HashPool } from '../files/hash-pool.ts';
import { loadProfile } from '../profile/profile.ts';
import type { LoadedProfile, Profile, SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import { addRelease } from '../release/publisher-releases.ts';
import { FLOOR_TOKEN_BYTES, FLOOR_TOKEN_FILE, readBounded } from '../release/release-folder.ts';
import { loadTrust } from '../release/root.ts';
import { play } from '../testing/play.ts';
import type { Played, Seen, Step } from '../testing/play.ts';
import type { Sandbox } from '../testing/sandbox.ts';
import type { FloorDefinition } from '../tpm/floor/definition.ts';
import type { Stage } from '../testing/stage.ts';
import { startSandbox } from '../testing/start-sandbox.ts';
import { acts, TITLES } from './acts.ts';
import type { SceneName } from './acts.ts';
import type { Facts, Limits, Scene } from './cast.ts';
import { firstFloor, signAgain } from './floor-tokens.ts';
import { playable, slotFor, slotNamed } from './plan.ts';
import { scenes } from './scenes.ts';
import { namedRelease } from './signers.ts';
import type { ProfileFile, RehearsalSigners } from './signers.ts';

export interface RehearsalPlan {
  /** The binary's file. */
  readonly main: string;
  readonly profile: ProfileFile;
  /** Release folders; `from`: what the devices run now, or null. */
  readonly release: string;
  readonly from: string | null;
  readonly signers: RehearsalSigners;
  /** Null: the slot that the release is for. */
  readonly slot: string | null;
  /** Folder of a firmware image, or null. */
  readonly root: string | null;
  readonly limits: Limits;
  /** Where the version floor of the slot stands on the devices; null: where the releases let it be. */
  readonly floor: number | null;
}

export interface PlayedScene extends Played {
  readonly name: SceneName;
}

export interface Rehearsal {
  readonly profile: LoadedProfile;
  readonly slot: SlotProfile | null;
  readonly release: SignedRelease | null;
  readonly from: SignedRelease | null;
  readonly played: readonly PlayedScene[];
  /** Scenes that were not reached, because the last one that was played failed. */
  readonly unplayed: readonly SceneName[];
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
async function takeIn(
  sandbox: Sandbox,
  { folder, floors }: { readonly folder: string; readonly floors: FloorDefinition | null },
  into: (release: SignedRelease) => void,
): Promise<Seen> {
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
  await signAgain(sandbox.stage, join(releases, added.release.id), floors, Date.now());
  into(added.release);
  const { modelId, version, securityVersion, pccpChangeId } = added.release.passport;
  const change = pccpChangeId === undefined ? '' : `, planned change ${pccpChangeId}`;
  return {
    ok: true,
    saw: `${modelId} ${version}, security version ${securityVersion}${change}: release ${added.release.id.slice(0, 12)}`,
  };
}

function signedScene(
  name: 'signed' | 'signed-before',
  sandbox: Sandbox,
  what: { readonly folder: string; readonly floors: FloorDefinition | null },
  into: (release: SignedRelease) => void,
): Scene {
  return {
    name,
    title: TITLES[name],
    command: 'touchstone release add RELEASE',
    expected: 'signed by a key that may sign this model; every file as signed',
    essential: true,
    play: async () => takeIn(sandbox, what, into),
  };
}

/** What is known of the played slot's floor before anything is signed for certain. */
interface StartingFloor {
  readonly values: ReadonlyMap<number, number>;
  readonly notes: readonly string[];
}

/** Where the floors of the rehearsed device start: that of the played slot alone is not zero. */
async function startingFloor(plan: RehearsalPlan, profile: Profile): Promise<StartingFloor> {
  const { release, from, slot, signers } = plan;
  const [after, before] = await Promise.all([namedRelease(release), from === null ? null : namedRelease(from)]);
  const played = after === null ? null : slot === null ? slotFor(profile, after.passport) : slotNamed(profile, slot);
  // A passport that cannot be read is refused before any floor is asked.
  if (after === null || played?.floor === undefined) return { values: new Map(), notes: [] };
  const hasToken = (await readBounded(join(release, FLOOR_TOKEN_FILE), FLOOR_TOKEN_BYTES)) !== null;
  const value =
    plan.floor ??
    firstFloor({
      release: after.passport.securityVersion,
      before: before?.passport.securityVersion ?? null,
      hasToken,
    });
  const unjudged = hasToken && signers.floors === null;
  const note = `who signed ${FLOOR_TOKEN_FILE}: with --fleet in the place of --key your fleet's floor keys judge it`;
  return { values: new Map([[played.floor, value]]), notes: unjudged ? [note] : [] };
}

/**
 * Plays everything on `stage`, which the caller closes. Errors: ConfigError for a bad profile; CONFIG_MISSING when swtpm or mosquitto is
 * not installed; TPM_UNAVAILABLE, BUS_UNAVAILABLE, CONTROL_UNAVAILABLE when the fleet cannot be started here.
 */
export async function rehearse(plan: RehearsalPlan, stage: Stage, told: Told): Promise<Rehearsal> {
  const { bytes } = plan.profile;
  const profile = loadProfile(bytes, plan.profile.name);
  for (const folder of plan.from === null ? [plan.release] : [plan.release, plan.from]) await assertFolder(folder);
  const named = plan.slot === null ? null : slotNamed(profile.profile, plan.slot);
  const played = await playable(profile, bytes, plan.root);
  const floor = await startingFloor(plan, profile.profile);
  const { sandbox, enrolled } = await startSandbox(stage, {
    main: plan.main,
    profile: played.loaded,
    profileBytes: played.bytes,
    signers: plan.signers,
    firstFloors: floor.values,
  });
  const found: { release: SignedRelease | null; from: SignedRelease | null } = { release: null, from: null };
  const facts: Facts = { resources: null, run: null, warnings: [] };
  const done: PlayedScene[] = [];
  const playAll = async (list: readonly Scene[]): Promise<void> => {
    const results = await play(list, told, () => performance.now());
    for (const [index, one] of results.entries()) {
      const name = list[index]?.name;
      if (name !== undefined) done.push({ ...one, name });
    }
    stage.signal.throwIfAborted();
  };
  const end = (slot: SlotProfile | null): Rehearsal => ({
    profile,
    slot,
    ...found,
    played: done,
    unplayed: acts(plan.from !== null).filter((name) => !done.some((one) => one.name === name)),
    facts,
    notes: [...played.notes, ...floor.notes],
  });

  const { floors } = plan.signers;
  const signed = [
    signedScene('signed', sandbox, { folder: plan.release, floors }, (release) => (found.release = release)),
    ...(plan.from === null
      ? []
      : [signedScene('signed-before', sandbox, { folder: plan.from, floors }, (release) => (found.from = release))]),
  ];
  await playAll(signed);
  const { release, from } = found;
  if (release === null || (plan.from !== null && from === null)) return end(named);
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
    from,
    installs,
    limits: plan.limits,
    facts,
  };
  await playAll(scenes(cast));
  return end(slotOf(profile));
}
