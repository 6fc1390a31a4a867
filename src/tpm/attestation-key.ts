// The attestation key: derived anew at every start, so that a persistent handle is a cache and never the truth.
import { readHandles } from './commands/capabilities.ts';
import { createPrimary, evictControl, flushContext, readPublic, type LoadedObject } from './commands/objects.ts';
import { withAuth, type HierarchyAuths } from './hierarchy-auth.ts';
import type { CommandQueue } from './queue.ts';
import { TpmResponseError } from './tpm-error.ts';
import { TPM_RH } from './wire/constants.ts';
import { AK_TEMPLATE } from './wire/templates.ts';

/** In the range that the TCG registry leaves to the owner; no other software is known to use it. */
export const AK_HANDLE = 0x81020a54;

/** Where the key was found or put, for the log. foreign: the handle holds another key, which is left alone. */
export type AkPlace =
  'persistent' | 'made persistent' | 'transient' | 'transient: handle is foreign' | 'transient: refused';

export interface AttestationKey {
  readonly key: LoadedObject;
  readonly place: AkPlace;
}

/** The same Name on every start, also after TPM2_Clear: a primary of the endorsement seed. Part 1, 14.3. */
export async function deriveAttestationKey(
  tpm: CommandQueue,
  auths: HierarchyAuths,
  persistAt: number | null,
): Promise<AttestationKey> {
  const derived = await withAuth(tpm, auths.endorsement, (auth) =>
    createPrimary(tpm, TPM_RH.ENDORSEMENT, AK_TEMPLATE, { auth }),
  );
  if (persistAt === null) return { key: derived, place: 'transient' };
  if ((await readHandles(tpm, persistAt)).includes(persistAt)) {
    const kept = await readPublic(tpm, persistAt);
    if (!kept.name.equals(derived.name)) return { key: derived, place: 'transient: handle is foreign' };
    await flushContext(tpm, derived);
    return { key: { ...derived, handle: persistAt }, place: 'persistent' };
  }
  try {
    await withAuth(tpm, auths.owner, (auth) => evictControl(tpm, derived, persistAt, auth));
  } catch (error) {
    if (error instanceof TpmResponseError) return { key: derived, place: 'transient: refused' };
    throw error;
  }
  await flushContext(tpm, derived);
  return { key: { ...derived, handle: persistAt }, place: 'made persistent' };
}
