// What a fleet runs now, as one document: profiles, root statement, devices with their releases and floors. Written by `fleet export`.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromBase64 } from '../bytes/text.ts';
import { ConfigError, WireError } from '../errors.ts';
import { loadProfile } from '../profile/profile.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';

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

/** A million devices of a few slots. */
export const MAX_EXPORT_BYTES: number = 512 * 1024 * 1024;
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

const shape: Shape<FleetExport> = v.strictObject({
  v: v.literal(1),
  exportedAt: uint(),
  fleet: text(MAX_TEXT),
  root: text(MAX_TEXT),
  profiles: v.pipe(v.array(text(MAX_TEXT)), v.maxLength(1024)),
  devices: v.array(device),
});

export interface KnownFleet {
  readonly trust: Trust;
  readonly profiles: ReadonlyMap<string, { readonly loaded: LoadedProfile; readonly bytes: Uint8Array }>;
  readonly devices: readonly ExportedDevice[];
}

function parsed(bytes: Uint8Array, from: string) {
  try {
    const read = parseShape(shape, parseJsonStrict(bytes, { maxBytes: MAX_EXPORT_BYTES, maxDepth: 8 }), 'fleet export');
    const [fleet, root] = [fromBase64(read.fleet), fromBase64(read.root)];
    return { fleet, root, profiles: read.profiles.map((words) => fromBase64(words)), devices: read.devices };
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    const message = `${from} is no fleet export (touchstone fleet export): ${cause.message}`;
    throw new ConfigError('CONFIG_INVALID', message, { cause });
  }
}

/** `from`: where it came from, for messages. Errors: ConfigError CONFIG_INVALID, also for a root statement that its keys did not sign. */
export function readFleetExport(bytes: Uint8Array, from: string, now: number): KnownFleet {
  const { fleet, root, profiles, devices } = parsed(bytes, from);
  const loaded = profiles.map((exact) => ({ loaded: loadProfile(exact, `a profile in ${from}`), bytes: exact }));
  return {
    trust: loadTrust(fleet, root, now, 0),
    profiles: new Map(loaded.map((one) => [one.loaded.profile.id, one])),
    devices,
  };
}
