// Hierarchy authorisation, TPM2_Clear and the dictionary attack parameters.
import { sized, u32 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TPM_RH } from '../wire/constants.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, nothing, pack } from './execute.ts';

/** TPM2_HierarchyChangeAuth, Part 3, 24.8. `auth` carries the old value; with a session, encrypt the command. */
export async function hierarchyChangeAuth(
  tpm: CommandQueue,
  hierarchy: number,
  newAuth: Buffer,
  auth: Authorization = password(),
): Promise<void> {
  await execute(tpm, {
    command: 'HierarchyChangeAuth',
    deadline: 'nv',
    handles: [hierarchy],
    auths: [auth],
    parameters: pack([sized(64), newAuth]),
    read: nothing,
  });
}

/**
 * TPM2_Clear, Part 3, 24.6: forgets the values of owner, endorsement and lockout, storage keys and NV of the owner. The lockout value
 * is empty when the TPM answers: a session is used with `authAfter` empty.
 */
export async function clear(tpm: CommandQueue, auth: Authorization = password()): Promise<void> {
  await execute(tpm, { command: 'Clear', deadline: 'key', handles: [TPM_RH.LOCKOUT], auths: [auth], read: nothing });
}

/** Failures until lockout; seconds until one is forgotten; seconds until a wrong lockout value may be followed by another try. */
export interface DictionaryAttackParameters {
  readonly maxTries: number;
  readonly recoveryTime: number;
  readonly lockoutRecovery: number;
}

/** TPM2_DictionaryAttackParameters, Part 3, 25.3. */
export async function dictionaryAttackParameters(
  tpm: CommandQueue,
  parameters: DictionaryAttackParameters,
  auth: Authorization = password(),
): Promise<void> {
  await execute(tpm, {
    command: 'DictionaryAttackParameters',
    deadline: 'nv',
    handles: [TPM_RH.LOCKOUT],
    auths: [auth],
    parameters: pack([u32, parameters.maxTries], [u32, parameters.recoveryTime], [u32, parameters.lockoutRecovery]),
    read: nothing,
  });
}

/** TPM2_DictionaryAttackLockReset, Part 3, 25.2. */
export async function dictionaryAttackLockReset(tpm: CommandQueue, auth: Authorization = password()): Promise<void> {
  await execute(tpm, {
    command: 'DictionaryAttackLockReset',
    deadline: 'nv',
    handles: [TPM_RH.LOCKOUT],
    auths: [auth],
    read: nothing,
  });
}
