// An endorsement as appraisal uses it: its keys imported once.
import { decode } from '../bytes/wire.ts';
import { fromHex } from '../bytes/text.ts';
import type { Endorsement } from '../protocol/messages.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
import { publicKeyOf } from '../tpm/wire/public-key.ts';
import type { TrustedEndorsement } from './types.ts';

/** `endorsement`: one whose signature was checked. Errors: WireError when its key is none. */
export function trustedEndorsement(endorsement: Endorsement): TrustedEndorsement {
  return {
    endorsement,
    akKey: publicKeyOf(decode(TpmtPublic, fromHex(endorsement.akPublic))),
    akQualifiedName: fromHex(endorsement.akQualifiedName),
  };
}
