// TPM2_Hash, _Sign, _VerifySignature.
import { sized, u16, u32 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TPM_ALG, TPM_RH, TPM_ST } from '../wire/constants.ts';
import { TpmtSignature, TpmtTicket } from '../wire/signature.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, pack, type Entity } from './execute.ts';

/** TPM_PT_INPUT_BUFFER of PC Client TPMs. */
const MAX_HASHED = 1024;
const digestField = sized(64);

/** TPM2_Hash with SHA-256, Part 3, 15.4. The ticket lets a restricted key sign the digest, unless the data looks like an attestation. */
export async function hash(
  tpm: CommandQueue,
  data: Uint8Array,
  hierarchy: number = TPM_RH.ENDORSEMENT,
): Promise<{ digest: Buffer; ticket: TpmtTicket }> {
  return execute(tpm, {
    command: 'Hash',
    parameters: pack([sized(MAX_HASHED), Buffer.from(data)], [u16, TPM_ALG.SHA256], [u32, hierarchy]),
    read: (from) => ({ digest: digestField.read(from), ticket: TpmtTicket.read(from) }),
  });
}

/** TPM2_Sign, Part 3, 20.2, with the scheme of the key. Without `ticket` only unrestricted keys sign. */
export async function sign(
  tpm: CommandQueue,
  key: Entity,
  digest: Uint8Array,
  options: { ticket?: TpmtTicket; auth?: Authorization } = {},
): Promise<TpmtSignature> {
  const none: TpmtTicket = { tag: TPM_ST.HASHCHECK, hierarchy: TPM_RH.NULL, digest: Buffer.alloc(0) };
  return execute(tpm, {
    command: 'Sign',
    handles: [key],
    auths: [options.auth ?? password()],
    parameters: pack([digestField, Buffer.from(digest)], [u16, TPM_ALG.NULL], [TpmtTicket, options.ticket ?? none]),
    read: (from) => TpmtSignature.read(from),
  });
}

/** TPM2_VerifySignature, Part 3, 20.1: the ticket is what PolicyAuthorize takes. */
export async function verifySignature(
  tpm: CommandQueue,
  key: Entity,
  digest: Uint8Array,
  signature: TpmtSignature,
): Promise<TpmtTicket> {
  return execute(tpm, {
    command: 'VerifySignature',
    handles: [key],
    parameters: pack([digestField, Buffer.from(digest)], [TpmtSignature, signature]),
    read: (from) => TpmtTicket.read(from),
  });
}
