// What a TPM signs about itself: TPM2_Quote, _Certify, _NV_Certify.
import { encode, sized, u16 } from '../../bytes/wire.ts';
import type { Reader } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import type { Quote } from '../port.ts';
import { TPM_ALG } from '../wire/constants.ts';
import { TpmlPcrSelection } from '../wire/pcr.ts';
import { TpmtSignature } from '../wire/signature.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, pack, type Entity } from './execute.ts';

const MAX_ATTEST = 2560;
const MAX_QUALIFYING_DATA = 66;
/** TPMT_SIG_SCHEME of TPM_ALG_NULL: the scheme of the key's own template. */
const KEY_SCHEME = TPM_ALG.NULL;

/** The signature is decoded, so that a malformed one is noticed here, and given in the TPM's bytes. */
function readAttest(from: Reader): Quote {
  const attest = sized(MAX_ATTEST).read(from);
  return { attest, signature: encode(TpmtSignature, TpmtSignature.read(from)) };
}

/** TPM2_Quote, Part 3, 18.4. */
export async function quote(
  tpm: CommandQueue,
  key: Entity,
  qualifyingData: Uint8Array,
  selection: TpmlPcrSelection,
  auth: Authorization = password(),
): Promise<Quote> {
  return execute(tpm, {
    command: 'Quote',
    handles: [key],
    auths: [auth],
    parameters: pack(
      [sized(MAX_QUALIFYING_DATA), Buffer.from(qualifyingData)],
      [u16, KEY_SCHEME],
      [TpmlPcrSelection, selection],
    ),
    read: readAttest,
  });
}

/** TPM2_Certify, Part 3, 18.2: `key` says that `object` is in this TPM. */
export async function certify(
  tpm: CommandQueue,
  object: Entity,
  key: Entity,
  qualifyingData: Uint8Array,
  auths: { object?: Authorization; key?: Authorization } = {},
): Promise<Quote> {
  return execute(tpm, {
    command: 'Certify',
    handles: [object, key],
    auths: [auths.object ?? password(), auths.key ?? password()],
    parameters: pack([sized(MAX_QUALIFYING_DATA), Buffer.from(qualifyingData)], [u16, KEY_SCHEME]),
    read: readAttest,
  });
}

/** TPM2_NV_Certify, Part 3, 31.16: `key` says what `size` bytes of the index are. `authHandle` may read it: owner or the index. */
export async function nvCertify(
  tpm: CommandQueue,
  key: Entity,
  authHandle: Entity,
  index: Entity,
  qualifyingData: Uint8Array,
  range: { size: number; offset?: number },
  auths: { key?: Authorization; index?: Authorization } = {},
): Promise<Quote> {
  return execute(tpm, {
    command: 'NV_Certify',
    handles: [key, authHandle, index],
    auths: [auths.key ?? password(), auths.index ?? password()],
    parameters: pack(
      [sized(MAX_QUALIFYING_DATA), Buffer.from(qualifyingData)],
      [u16, KEY_SCHEME],
      [u16, range.size],
      [u16, range.offset ?? 0],
    ),
    read: readAttest,
  });
}
