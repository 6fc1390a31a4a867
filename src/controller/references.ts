// Reference values from the controller's own copies of profiles and releases; what a device says is never among them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../bytes/text.ts';
import { configsDigest } from '../profile/configs.ts';
import { loadProfile } from '../profile/profile.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { floorDefinitionOf } from '../release/floor-definition.ts';
import { keyTableOf, openRelease, tableForRunning } from '../release/open.ts';
import type { Trust } from '../release/root.ts';
import type { Finding } from '../rules/finding.ts';
import type { ReferenceRelease, ReferenceValues } from '../verifier/types.ts';
import { loadBootReferences } from './boot-references.ts';
import type { BootReferences } from './boot-references.ts';
import { STATE_FILES } from './settings.ts';

export interface References {
  readonly profiles: ReadonlyMap<string, LoadedProfile>;
  readonly releases: ReadonlyMap<string, ReferenceRelease>;
  /** Folder of each release, by its id. */
  readonly folders: ReadonlyMap<string, string>;
  /** Files that are there but cannot be used, each with the reason: shown to the operator, never silently left out. */
  readonly faults: readonly string[];
  /** Null when no profile of this id is known. */
  of(profileId: string): ReferenceValues | null;
}

function readIf(path: string): Buffer | null {
  return existsSync(path) ? readFileSync(path) : null;
}

function foldersIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path).toSorted() : [];
}

type Lapse = NonNullable<ReferenceRelease['lapsed']>[number];

function lapse({ rule, expected, found }: Finding): Lapse[] {
  return rule === 'release-signer-revoked' || rule === 'release-threshold' ? [{ rule, expected, found }] : [];
}

function loadReleases(
  folder: string,
  trust: Trust,
  faults: string[],
): { releases: Map<string, ReferenceRelease>; folders: Map<string, string> } {
  const releases = new Map<string, ReferenceRelease>();
  const folders = new Map<string, string>();
  const withdrawn = new Set<string>();
  for (const name of foldersIn(folder)) {
    const at = join(folder, name);
    const files = { sig: readIf(join(at, 'model.sig')), passport: readIf(join(at, 'passport.json')) };
    const asNew = openRelease({ ...files, ...keyTableOf(trust.root) });
    // What may still run somewhere must still be known, or a revoked key would stop every model that it ever signed.
    const opened = asNew.ok ? asNew : openRelease({ ...files, ...tableForRunning(trust.root) });
    if (!opened.ok) {
      faults.push(...opened.findings.map((one) => `${at}: ${one.rule}: expected ${one.expected}, found ${one.found}`));
      continue;
    }
    const { id, passport, statement, signedBy } = opened.release;
    // Only for its own model: a publisher of others has no say.
    // And not by a key that a thief may use.
    if (asNew.ok) for (const other of passport.withdraws) withdrawn.add(`${passport.modelId}\0${other}`);
    folders.set(id, at);
    releases.set(id, {
      id,
      modelId: passport.modelId,
      version: passport.version,
      securityVersion: passport.securityVersion,
      slotRole: passport.slotRole,
      hardwareClass: passport.hardwareClass,
      statement: statement.digest,
      manifest: fromHex(passport.manifestDigest),
      signedBy,
      withdrawn: false,
      ...(passport.pccpChangeId === undefined ? {} : { pccpChangeId: passport.pccpChangeId }),
      ...(asNew.ok ? {} : { lapsed: asNew.findings.flatMap(lapse) }),
    });
  }
  for (const [id, release] of releases) {
    if (withdrawn.has(`${release.modelId}\0${id}`)) releases.set(id, { ...release, withdrawn: true });
  }
  return { releases, folders };
}

function valuesOf(
  loaded: LoadedProfile,
  releases: ReadonlyMap<string, ReferenceRelease>,
  boot: BootReferences,
  floorIndex: Uint8Array | null,
): ReferenceValues {
  const { profile, digest } = loaded;
  const { id, hardwareClass, maxDetectionSeconds, tpm } = profile;
  const slots = profile.slots.map(
    ({ name, role, modelIds, required, configs, floor, breakGlass, plannedChanges, engine }) => ({
      name,
      role,
      modelIds,
      required,
      configs: configsDigest(configs),
      ...(floor === undefined ? {} : { floor }),
      ...(plannedChanges === undefined ? {} : { plannedChanges }),
      ...(breakGlass === undefined ? {} : { breakGlassSeconds: breakGlass.maxSeconds }),
      ...(engine === undefined ? {} : { engine: true as const }),
    }),
  );
  return {
    profile: {
      id,
      digest,
      hardwareClass,
      maxDetectionSeconds,
      bank: tpm.bank,
      eventPcr: tpm.eventPcr,
      bootPcrs: tpm.bootPcrs,
      slots,
    },
    releases,
    ...(floorIndex === null ? {} : { floorIndex }),
    ...boot,
  };
}

/**
 * Reads profiles/*.json, references/<profile id>.json and releases/<any>/. A broken one is a fault in the result, not an error: the
 * rest still counts. A profile whose boot references are there and broken is not judged by.
 */
export function loadReferences(stateDir: string, trust: Trust): References {
  const faults: string[] = [];
  const profiles = new Map<string, LoadedProfile>();
  const boots = new Map<string, BootReferences>();
  const folder = join(stateDir, STATE_FILES.profiles);
  for (const name of foldersIn(folder).filter((file) => file.endsWith('.json'))) {
    try {
      const loaded = loadProfile(readFileSync(join(folder, name)), join(folder, name));
      profiles.set(loaded.profile.id, loaded);
      boots.set(loaded.profile.id, loadBootReferences(join(stateDir, STATE_FILES.references), loaded.profile));
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
    }
  }
  const { releases, folders } = loadReleases(join(stateDir, STATE_FILES.releases), trust, faults);
  const floorIndex = floorDefinitionOf(trust.root)?.floors.written ?? null;
  const values = new Map<string, ReferenceValues>();
  for (const [id, loaded] of profiles) {
    const boot = boots.get(id);
    if (boot !== undefined) values.set(id, valuesOf(loaded, releases, boot, floorIndex));
  }
  return { profiles, releases, folders, faults, of: (profileId) => values.get(profileId) ?? null };
}
