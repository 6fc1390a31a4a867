// Reads what a fleet runs now, as its controller exported it: nothing in it is believed before its root statement is.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape } from '../bytes/shape.ts';
import { fromBase64 } from '../bytes/text.ts';
import { fleetExportShape } from '../controller/fleet-export.ts';
import type { ExportedDevice } from '../controller/fleet-export.ts';
import { ConfigError, WireError } from '../errors.ts';
import { loadProfile } from '../profile/profile.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';

/** A million devices of a few slots. */
export const MAX_EXPORT_BYTES: number = 512 * 1024 * 1024;
export interface KnownFleet {
  readonly trust: Trust;
  readonly profiles: ReadonlyMap<string, { readonly loaded: LoadedProfile; readonly bytes: Uint8Array }>;
  readonly devices: readonly ExportedDevice[];
}

function parsed(bytes: Uint8Array, from: string) {
  try {
    const read = parseShape(
      fleetExportShape,
      parseJsonStrict(bytes, { maxBytes: MAX_EXPORT_BYTES, maxDepth: 8 }),
      'fleet export',
    );
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
