// What a fleet runs now, as one document: profiles, root statement, devices with their releases and floors. No secret is in it.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { toBase64 } from '../bytes/text.ts';
import { ConfigError } from '../errors.ts';
import type { DeviceRow } from './registry.ts';
import { STATE_FILES } from './settings.ts';

export interface ExportedDevice {
  readonly id: string;
  readonly label: string | null;
  /** A profile id. */
  readonly profile: string;
  /** `release`: as its evidence had it last; null: none. */
  readonly slots: readonly {
    readonly slot: string;
    readonly release: string | null;
    readonly version: string | null;
  }[];
  /** Highest floors that its TPM was heard to hold. */
  readonly floors: readonly { readonly slot: string; readonly floor: number }[];
}

/** JSON; no secret is in it. `fleet`, `root` and `profiles`: the exact bytes of fleet.json, root.json and each profile, base64. */
export interface FleetExport {
  readonly v: 1;
  /** ms since 1970. */
  readonly exportedAt: number;
  readonly fleet: string;
  readonly root: string;
  readonly profiles: readonly string[];
  /** Those that were approved. */
  readonly devices: readonly ExportedDevice[];
}

/** A MiB. */
const MAX_TEXT = 1_400_000;

const device: Shape<ExportedDevice> = v.strictObject({
  id: text(64),
  label: v.nullable(text(64)),
  profile: name,
  slots: v.pipe(
    v.array(v.strictObject({ slot: name, release: v.nullable(text(64)), version: v.nullable(text(128)) })),
    v.maxLength(32),
  ),
  floors: v.pipe(v.array(v.strictObject({ slot: name, floor: uint() })), v.maxLength(32)),
});

export const fleetExportShape: Shape<FleetExport> = v.strictObject({
  v: v.literal(1),
  exportedAt: uint(),
  fleet: text(MAX_TEXT),
  root: text(MAX_TEXT),
  profiles: v.pipe(v.array(text(MAX_TEXT)), v.maxLength(1024)),
  devices: v.array(device),
});

async function profileTexts(stateDir: string): Promise<string[]> {
  const folder = join(stateDir, STATE_FILES.profiles);
  try {
    const names = (await readdir(folder)).filter((file) => file.endsWith('.json')).toSorted();
    return await Promise.all(names.map(async (file) => readFile(join(folder, file), 'base64')));
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING', `cannot read the profiles in ${folder}`, { cause });
  }
}

/** The document of `devices`, as far as they are approved. Errors: ConfigError. */
export async function fleetExport(stateDir: string, devices: readonly DeviceRow[], now: number): Promise<FleetExport> {
  const file = async (path: string): Promise<string> => toBase64(await readFile(join(stateDir, path)));
  const [fleet, root, profiles] = await Promise.all([
    file(STATE_FILES.fleet),
    file(STATE_FILES.root),
    profileTexts(stateDir),
  ]);
  return {
    v: 1,
    exportedAt: now,
    fleet,
    root,
    profiles,
    devices: devices
      .filter(({ state }) => state === 'approved')
      .map(({ id, label, profile, slots, row }) => ({
        id,
        label,
        profile,
        slots: slots.map(({ slot, release, version }) => ({ slot, release, version })),
        floors: (row.log?.floors ?? []).map(({ slot, floor }) => ({ slot, floor })),
      })),
  };
}
