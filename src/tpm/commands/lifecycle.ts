// TPM2_ReadClock; TPM2_Startup and _Shutdown, which on a real machine only firmware and kernel send.
import { u16 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmsTimeInfo } from '../wire/attest.ts';
import { TPM_SU } from '../wire/constants.ts';
import { execute, nothing, pack } from './execute.ts';

/** TPM2_ReadClock, Part 3, 29.1. */
export async function readClock(tpm: CommandQueue): Promise<TpmsTimeInfo> {
  return execute(tpm, { command: 'ReadClock', read: (from) => TpmsTimeInfo.read(from) });
}

/** TPM2_Startup, Part 3, 9.3. */
export async function startup(tpm: CommandQueue, kind: keyof typeof TPM_SU): Promise<void> {
  await execute(tpm, { command: 'Startup', deadline: 'nv', parameters: pack([u16, TPM_SU[kind]]), read: nothing });
}

/** TPM2_Shutdown, Part 3, 9.4. */
export async function shutdown(tpm: CommandQueue, kind: keyof typeof TPM_SU): Promise<void> {
  await execute(tpm, { command: 'Shutdown', deadline: 'nv', parameters: pack([u16, TPM_SU[kind]]), read: nothing });
}
