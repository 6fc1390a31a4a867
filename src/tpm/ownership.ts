// Who may command this TPM: which hierarchies have an auth value, and setting all of them so that no other local user may.
import { readProperties } from './commands/capabilities.ts';
import { hierarchyChangeAuth } from './commands/hierarchy.ts';
import type { HierarchyAuths } from './hierarchy-auth.ts';
import type { CommandQueue } from './queue.ts';
import { startSession, type SaltKey } from './sessions/start.ts';
import { TpmError } from './tpm-error.ts';
import { TPM_PT, TPM_RH } from './wire/constants.ts';

/** TPMA_PERMANENT, Part 2, 8.6, and the dictionary attack counters. Times in seconds. */
export interface Ownership {
  readonly ownerAuthSet: boolean;
  readonly endorsementAuthSet: boolean;
  readonly lockoutAuthSet: boolean;
  readonly clearDisabled: boolean;
  readonly inLockout: boolean;
  readonly failures: number;
  readonly maxFailures: number;
  readonly recoveryTime: number;
  readonly lockoutRecovery: number;
}

export async function readOwnership(tpm: CommandQueue): Promise<Ownership> {
  const properties = await readProperties(tpm, TPM_PT.PERMANENT);
  const value = (property: number): number => {
    const told = properties.get(property);
    if (told === undefined)
      throw new TpmError('TPM_RESPONSE', `the TPM does not tell property 0x${property.toString(16)}`);
    return told;
  };
  const permanent = value(TPM_PT.PERMANENT);
  const bit = (n: number): boolean => (permanent & (1 << n)) !== 0;
  return {
    ownerAuthSet: bit(0),
    endorsementAuthSet: bit(1),
    lockoutAuthSet: bit(2),
    clearDisabled: bit(8),
    inLockout: bit(9),
    failures: value(TPM_PT.LOCKOUT_COUNTER),
    maxFailures: value(TPM_PT.MAX_AUTH_FAIL),
    recoveryTime: value(TPM_PT.LOCKOUT_INTERVAL),
    lockoutRecovery: value(TPM_PT.LOCKOUT_RECOVERY),
  };
}

export type Hierarchy = 'owner' | 'endorsement' | 'lockout';

/** Per hierarchy: set now, or set before, by us or by someone else (its value was not tried: a wrong try has a price). */
export type OwnershipTaken = Readonly<Record<Hierarchy, 'set' | 'was set'>>;

/**
 * Gives every hierarchy whose auth value is empty the given one. The values must be stored durably before: a TPM whose
 * values are lost can only be cleared by its firmware. Safe to repeat after a power cut. The values cross the bus encrypted.
 */
export async function takeOwnership(
  tpm: CommandQueue,
  salt: SaltKey,
  values: Required<HierarchyAuths>,
): Promise<OwnershipTaken> {
  for (const value of Object.values(values)) {
    if (value.length < 16 || value.length > 32 || value.at(-1) === 0) {
      throw new RangeError('a hierarchy auth value is 16 to 32 bytes, the last of them not zero');
    }
  }
  const before = await readOwnership(tpm);
  const hierarchies = [
    { name: 'owner', handle: TPM_RH.OWNER, set: before.ownerAuthSet },
    { name: 'endorsement', handle: TPM_RH.ENDORSEMENT, set: before.endorsementAuthSet },
    { name: 'lockout', handle: TPM_RH.LOCKOUT, set: before.lockoutAuthSet },
  ] as const;
  const taken: Record<Hierarchy, 'set' | 'was set'> = { owner: 'was set', endorsement: 'was set', lockout: 'was set' };
  await using session = await startSession(tpm, { salt });
  for (const { name, handle, set } of hierarchies) {
    if (set) continue;
    const auth = session.use({ authAfter: values[name], encryptCommand: true });
    await hierarchyChangeAuth(tpm, handle, values[name], auth);
    taken[name] = 'set';
  }
  return taken;
}
