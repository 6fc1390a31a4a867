// What the TPM's queue tells, as lines of the agent's log.
import type { DeviceTpmEvent } from '../tpm/device-tpm.ts';
import type { Log } from '../log.ts';

const hex = (rc: number): string => `0x${rc.toString(16)}`;

export function logTpmEvent(log: Log, event: DeviceTpmEvent): void {
  switch (event.kind) {
    case 'late':
      log.write('warning', 'tpm-late', `the TPM has not answered ${event.command} for ${event.afterMs} ms`, {
        command: event.command,
        afterMs: event.afterMs,
      });
      break;
    case 'answered':
      log.write('info', 'tpm-answered', `the TPM answered ${event.command} after ${event.afterMs} ms`, {
        command: event.command,
        afterMs: event.afterMs,
      });
      break;
    case 'retried':
      // The first DA-protected use after each start is answered so: worth a line only when it goes on.
      if (event.attempt > 1) {
        log.write('warning', 'tpm-retry', `the TPM asked for ${event.command} again (${hex(event.rc)})`, {
          command: event.command,
          attempt: event.attempt,
        });
      }
      break;
    case 'flushed':
      log.write('info', 'tpm-flushed', `removed ${event.handles} objects that a killed process had left in the TPM`, {
        handles: event.handles,
      });
      break;
    case 'ak':
      log.write('info', 'tpm-key', `attestation key: ${event.place}`, { place: event.place });
      break;
    default:
      event satisfies never;
  }
}
