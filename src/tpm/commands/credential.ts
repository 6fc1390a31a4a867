// TPM2_ActivateCredential: what only the TPM that has both EK and AK can open.
import { decode, sized } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import type { Authorization } from './authorization.ts';
import { execute, pack, type Entity } from './execute.ts';

/** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET (RSA-4096) without their sizes. */
const MAX_BLOB = 256;
const MAX_SECRET = 512;

/** TPM2_ActivateCredential, Part 3, 12.5. `blob` and `secret` carry their sizes. `activate` authorises the AK, `key` the EK. */
export async function activateCredential(
  tpm: CommandQueue,
  ak: Entity,
  ek: Entity,
  credential: { readonly blob: Uint8Array; readonly secret: Uint8Array },
  auths: { readonly activate: Authorization; readonly key: Authorization },
): Promise<Buffer> {
  const blob = decode(sized(MAX_BLOB), credential.blob, 'credentialBlob');
  const secret = decode(sized(MAX_SECRET), credential.secret, 'secret');
  return execute(tpm, {
    command: 'ActivateCredential',
    deadline: 'nv',
    handles: [ak, ek],
    auths: [auths.activate, auths.key],
    parameters: pack([sized(MAX_BLOB), blob], [sized(MAX_SECRET), secret]),
    read: (from) => sized(64).read(from),
  });
}
