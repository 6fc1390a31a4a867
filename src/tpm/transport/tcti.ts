// Any TPM that libtss2 reaches, named by a TCTI configuration string.
import { openTcti } from '../../../native/tss2.ts';
import { TpmError } from '../tpm-error.ts';
import type { TpmTransport } from './transport.ts';

export const DEFAULT_TCTI = 'device:/dev/tpmrm0';

/** The TCTI configuration of this process: TOUCHSTONE_TCTI, else the kernel's resource manager. */
export function configuredTcti(env: NodeJS.ProcessEnv = process.env): string {
  const configured = env['TOUCHSTONE_TCTI'];
  return configured === undefined || configured === '' ? DEFAULT_TCTI : configured;
}

/** Whether the configuration reaches the TPM without a resource manager (kernel tpmrm or tpm2-abrmd) between. */
export function isRawTcti(configuration: string): boolean {
  return !/(?:^|:)(?:libtss2-tcti-)?(?:tabrmd\b|device(?:\.so\.0)?:\/dev\/tpmrm\d+$)/.test(configuration);
}

/** Opens the TPM. Errors: TpmError with code TPM_UNAVAILABLE. */
export async function openTctiTransport(configuration: string = configuredTcti()): Promise<TpmTransport> {
  const context = await openTcti(configuration).catch((cause: unknown) => {
    throw new TpmError('TPM_UNAVAILABLE', `cannot open the TPM at ${configuration}`, { cause });
  });
  let inFlight = 0;
  let closed = false;
  return {
    raw: isRawTcti(configuration),
    transmit: async (command) => {
      if (closed) throw new TpmError('TPM_UNAVAILABLE', 'the connection to the TPM is closed');
      inFlight += 1;
      try {
        return await context.exchange(command);
      } catch (cause) {
        throw new TpmError('TPM_UNAVAILABLE', `the connection to the TPM at ${configuration} failed`, { cause });
      } finally {
        inFlight -= 1;
      }
    },
    close: async () => {
      if (closed) return;
      closed = true;
      // A context must not be freed under a call that still runs, and a silent TPM would let nobody wait for its end.
      if (inFlight === 0) await context.finalize();
    },
  };
}
