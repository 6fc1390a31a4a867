// The TPM library's two key derivation functions.
import { createHash, createHmac } from 'node:crypto';

function label0(label: string): Buffer {
  return Buffer.from(`${label}\0`, 'latin1');
}

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function counted(bits: number, block: (counter: Buffer) => Buffer): Buffer {
  const length = Math.ceil(bits / 8);
  const parts: Buffer[] = [];
  for (let have = 0, i = 1; have < length; i++) {
    const part = block(be32(i));
    parts.push(part);
    have += part.length;
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** KDFa (Part 1, 11.4.10.2): HMAC_H(key, BE32(i) ‖ label ‖ 00 ‖ contextU ‖ contextV ‖ BE32(bits)). */
export function kdfA(hash: string, key: Uint8Array, label: string, u: Uint8Array, w: Uint8Array, bits: number): Buffer {
  return counted(bits, (counter) =>
    createHmac(hash, key).update(counter).update(label0(label)).update(u).update(w).update(be32(bits)).digest(),
  );
}

/** KDFe (Part 1, 11.4.10.3): H(BE32(i) ‖ Z ‖ label ‖ 00 ‖ partyU.x ‖ partyV.x). */
export function kdfE(hash: string, z: Uint8Array, label: string, u: Uint8Array, w: Uint8Array, bits: number): Buffer {
  return counted(bits, (counter) =>
    createHash(hash).update(counter).update(z).update(label0(label)).update(u).update(w).digest(),
  );
}
