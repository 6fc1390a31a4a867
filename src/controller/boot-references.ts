// The owner's reference values for booting, from the controller's own copies: references/<profile id>.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowedPcrs, readBootReferenceFile } from '../boot/reference-file.ts';
import type { BootReferenceFile } from '../boot/reference-file.ts';
import { fromHex } from '../bytes/text.ts';
import { ConfigError } from '../errors.ts';
import type { Profile } from '../profile/profile.ts';
import type { ReferenceValues } from '../verifier/types.ts';

export type BootReferences = Pick<ReferenceValues, 'components' | 'bootPcrs' | 'bootCoversAgent'>;

/** Without a file: the boot is not judged, and no verdict is better than A1. */
const NOTHING_KNOWN: BootReferences = { components: null, bootPcrs: new Map(), bootCoversAgent: false };

function valuesOf(file: BootReferenceFile, profile: Profile): BootReferences {
  const components =
    file.components?.map((one) => ({
      agent: fromHex(one.agent),
      node: fromHex(one.node),
      profile: fromHex(one.profile),
      trust: fromHex(one.trust),
      runtime: one.runtime === null ? null : fromHex(one.runtime),
      gateMode: one.gateMode,
    })) ?? null;
  return { components, bootPcrs: allowedPcrs(file, profile.tpm.bootPcrs), bootCoversAgent: file.coversAgent };
}

/**
 * What `folder` says of the boot of this profile's devices. Errors: TouchstoneError CONFIG_INVALID for a file that is there and cannot be used: the
 * profile must then not be judged by, because less would be checked than the owner wrote down.
 */
export function loadBootReferences(folder: string, profile: Profile): BootReferences {
  const path = join(folder, `${profile.id}.json`);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return NOTHING_KNOWN;
    throw new ConfigError('CONFIG_INVALID', `${path} cannot be read`, { cause });
  }
  const file = readBootReferenceFile(bytes, path);
  if (file.profile !== profile.id) {
    throw new ConfigError('CONFIG_INVALID', `${path}: is for profile ${file.profile}, not ${profile.id}`);
  }
  return valuesOf(file, profile);
}
