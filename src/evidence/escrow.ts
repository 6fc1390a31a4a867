// What gives a TPM back to its owner when a device's disk is lost: its auth values, sealed to a key that is kept offline.
import type { KeyObject } from 'node:crypto';
import { toHex } from '../bytes/text.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { hpkeOpen, hpkeSeal } from '../crypto/hpke.ts';
import type { HpkeContext } from '../crypto/hpke.ts';
import { WireError } from '../errors.ts';

const VERSION = 1;
const KEY_ID_BYTES = 32;
/** Version, key id, point and tag. */
const LEAST = 1 + KEY_ID_BYTES + 65 + 16;

/** Whose values they are: of one TPM (the Name of its EK) in one device. */
export interface EscrowOf {
  readonly deviceId: string;
  readonly ekName: Uint8Array;
}

/** info: "touchstone/escrow/1"; aad: device id (UTF-8) ‖ 00 ‖ EK Name. */
function contextOf({ deviceId, ekName }: EscrowOf): HpkeContext {
  return {
    info: Buffer.from('touchstone/escrow/1', 'latin1'),
    aad: Buffer.concat([Buffer.from(`${deviceId}\0`, 'utf8'), ekName]),
  };
}

/** 01 ‖ key id (32 bytes) ‖ HPKE enc (65) ‖ ciphertext ‖ tag (16). */
export function sealEscrow(to: KeyObject, secret: Uint8Array, of: EscrowOf): Buffer {
  return Buffer.concat([Buffer.from([VERSION]), Buffer.from(keyId(to), 'hex'), hpkeSeal(to, secret, contextOf(of))]);
}

/** The id of the key that opens it, hex. Errors: WireError for bytes that are none. */
export function escrowKeyId(sealed: Uint8Array): string {
  if (sealed.length < LEAST || sealed[0] !== VERSION) {
    throw new WireError('WIRE_MALFORMED', 'not a sealed escrow of version 1', { field: 'escrow', offset: 0 });
  }
  return toHex(sealed.subarray(1, 1 + KEY_ID_BYTES));
}

/** Errors: WireError for another key, device or TPM, and for bytes that were changed. */
export function openEscrow(by: KeyObject, sealed: Uint8Array, of: EscrowOf): Buffer {
  const wanted = escrowKeyId(sealed);
  if (keyId(by) !== wanted) {
    throw new WireError('WIRE_MALFORMED', `it is sealed to key ${wanted}`, { field: 'escrow', offset: 1 });
  }
  return hpkeOpen(by, sealed.subarray(1 + KEY_ID_BYTES), contextOf(of));
}
