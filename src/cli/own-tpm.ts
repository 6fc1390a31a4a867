// Opens the TPM of a device with the auth values that make it this device's alone.
import type { Log } from '../log.ts';
import { logTpmEvent } from '../agent/tpm-log.ts';
import { ownershipValues } from '../agent/tpm-ownership.ts';
import { openDeviceTpm } from '../tpm/device-tpm.ts';
import type { DeviceTpm } from '../tpm/device-tpm.ts';
import { openTctiTransport } from '../tpm/transport/tcti.ts';

/** The TPM, ours alone where the profile says so. */
export async function openOwnTpm(
  tcti: string,
  ownership: 'exclusive' | 'shared',
  authFile: string,
  log: Log,
  onLate: (command: string, afterMs: number) => void,
): Promise<DeviceTpm> {
  const exclusive = ownership === 'exclusive';
  // Also under `shared`: a device that was exclusive once must still know its own values.
  const auths = await ownershipValues(authFile, exclusive);
  const tpm = await openDeviceTpm({
    transport: await openTctiTransport(tcti),
    ...(auths === null ? {} : { auths }),
    onEvent: (event) => {
      logTpmEvent(log, event);
      if (event.kind === 'late') onLate(event.command, event.afterMs);
    },
  });
  if (exclusive && auths !== null) {
    const taken = await tpm.takeOwnership(auths);
    const set = Object.entries(taken).flatMap(([name, what]) => (what === 'set' ? [name] : []));
    if (set.length > 0)
      log.write('info', 'tpm-owned', `set the auth values of the TPM's hierarchies: ${set.join(', ')}`);
  }
  return tpm;
}
