// What a slot's configs are compared by: the controller computes it from the profile, the device from the files that it found.
import { encodeCbor } from '../bytes/cbor.ts';
import { fromHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import type { ConfigProfile } from './profile.ts';

/** SHA-256 over [path, manifest digest] of each, as the profile orders them; null where there are none. */
export function configsDigest(configs: readonly ConfigProfile[]): Buffer | null {
  if (configs.length === 0) return null;
  return sha256(encodeCbor(configs.map(({ path, sha256: digest }) => [path, fromHex(digest)])));
}
