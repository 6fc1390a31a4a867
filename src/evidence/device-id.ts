// Who a device is: derived from its endorsement key, so another key is another device by construction.
import { toBase32 } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';

const LABEL = Buffer.from('touchstone/device/1');

/** base32(first 20 bytes of SHA-256("touchstone/device/1" ‖ fleetId ‖ EK Name)): 32 characters a-z, 2-7. */
export function deviceId(fleetId: Uint8Array, ekName: Uint8Array): string {
  return toBase32(sha256(LABEL, fleetId, ekName).subarray(0, 20));
}
