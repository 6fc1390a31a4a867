// An attacker's key under the public area of an endorsement key, put there on the bus with a Name that fits.
import { createECDH, type ECDH } from 'node:crypto';
import { decode, encode } from '../../src/bytes/wire.ts';
import { TPM_CC } from '../../src/tpm/wire/constants.ts';
import { objectName } from '../../src/tpm/wire/names.ts';
import { Tpm2bPublic } from '../../src/tpm/wire/public.ts';

export interface Impostor {
  readonly key: ECDH;
  readonly x: Buffer;
  /** Changes answers of CreatePrimary for a P-256 key that decrypts, which is the EK; the AK signs. */
  readonly swap: (response: Buffer, code: number) => Buffer;
}

export function impostor(): Impostor {
  const key = createECDH('prime256v1');
  const point = key.generateKeys();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)];
  const swap = (response: Buffer, code: number): Buffer => {
    if (code !== TPM_CC.CreatePrimary || response.readUInt32BE(6) !== 0) return response;
    // Header 10, handle 4, parameterSize 4, TPM2B_PUBLIC … TPM2B_NAME, authorisation area.
    const size = response.readUInt16BE(18);
    const area = decode(Tpm2bPublic, response.subarray(18, 20 + size));
    if (area.area.type !== 'ecc' || area.area.symmetric === null) return response;
    const forged = { ...area, area: { ...area.area, x, y } };
    const changed = Buffer.from(response);
    encode(Tpm2bPublic, forged).copy(changed, 18);
    const name = objectName(forged);
    name.copy(changed, 18 + changed.readUInt32BE(14) - name.length);
    return changed;
  };
  return { key, x, swap };
}
