// Names: how a TPM identifies keys, indices and hierarchies.
import { createHash } from 'node:crypto';
import { encode } from '../../bytes/wire.ts';
import { HASH_NAMES } from './constants.ts';
import { TpmsNvPublic } from './nv.ts';
import { TpmtPublic } from './public.ts';

function named(algorithm: number, ...parts: readonly Uint8Array[]): Buffer {
  const hashName = HASH_NAMES.get(algorithm);
  if (hashName === undefined) throw new RangeError(`name algorithm 0x${algorithm.toString(16)} is not known`);
  const digest = createHash(hashName);
  for (const part of parts) digest.update(part);
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(algorithm);
  return Buffer.concat([prefix, digest.digest()]);
}

/** Name of an object: UINT16 nameAlg ‖ H(TPMT_PUBLIC) (Part 1, 16). */
export function objectName(publicArea: TpmtPublic): Buffer {
  return named(publicArea.nameAlg, encode(TpmtPublic, publicArea));
}

/** Name of an NV index: UINT16 nameAlg ‖ H(TPMS_NV_PUBLIC); the WRITTEN bit is part of it. */
export function nvName(nvPublic: TpmsNvPublic): Buffer {
  return named(nvPublic.nameAlg, encode(TpmsNvPublic, nvPublic));
}

/** Name of a hierarchy or PCR: its handle. */
export function handleName(handle: number): Buffer {
  const name = Buffer.alloc(4);
  name.writeUInt32BE(handle);
  return name;
}

/** Qualified name of a primary: nameAlg ‖ H(hierarchy handle ‖ Name) (Part 1, 26.5). */
export function qualifiedName(hierarchy: number, name: Uint8Array): Buffer {
  const algorithm = Buffer.from(name).readUInt16BE(0);
  return named(algorithm, handleName(hierarchy), name);
}
