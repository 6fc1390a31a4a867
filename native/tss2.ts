// libtss2-tctildr through koffi: the four calls by which bytes reach any TPM and come back. No TPM command is known here.
import koffi from 'koffi';

/** Debian, Fedora, Yocto and Buildroot all install this soname, with or without development packages. */
const LIBRARY = 'libtss2-tctildr.so.0';

/** TSS2_TCTI_TIMEOUT_BLOCK, tss2_tcti.h. Deadlines are kept above, where the whole process can be ended. */
const BLOCK = -1;

/** TPM2_MAX_RESPONSE_SIZE of every PC Client TPM, in bytes. */
const MAX_RESPONSE = 4096;

/** A call of libtss2 that failed: TSS2_RC as defined in tss2_common.h (layer 0x000a0000 is the TCTI). */
export class TctiError extends Error {
  readonly rc: number;

  constructor(call: string, rc: number) {
    super(`${call} returned 0x${rc.toString(16).padStart(8, '0')}: ${meaningOf(rc)}`);
    this.name = 'TctiError';
    this.rc = rc;
  }
}

/** TSS2_BASE_RC_… of tss2_common.h, for those a TCTI returns. */
const MEANINGS: Readonly<Record<number, string>> = {
  1: 'general failure',
  2: 'not implemented',
  3: 'bad context',
  4: 'wrong ABI version',
  5: 'bad reference',
  6: 'buffer too small',
  7: 'called out of order',
  8: 'no connection',
  9: 'try again',
  10: 'input or output failed (is the device or socket there, and may this user open it?)',
  11: 'bad value (is the configuration misspelt?)',
  12: 'not permitted',
  16: 'wrong size',
  17: 'malformed response',
  20: 'incompatible TCTI',
  21: 'not supported (is the TCTI misspelt, or its libtss2-tcti-… package missing?)',
  22: 'bad TCTI structure',
  23: 'out of memory',
};

function meaningOf(rc: number): string {
  return MEANINGS[rc & 0xffff] ?? 'unknown';
}

/** An open TCTI context. Not re-entrant: one `exchange` at a time, and none during or after `finalize`. */
export interface TctiContext {
  /** Sends one whole command and waits, without limit and off the event loop, for its response. Errors: TctiError. */
  exchange(command: Uint8Array): Promise<Buffer>;
  finalize(): Promise<void>;
}

type AsyncCall = { async(...args: unknown[]): void };

/** Runs a call on koffi's thread and gives its TSS2_RC (void functions give 0). */
function onThread(call: AsyncCall, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number | undefined) => {
      if (error === null || error === undefined) resolve((result ?? 0) >>> 0);
      else reject(error);
    });
  });
}

/** TSS2_TCTI_TRANSMIT_FCN and TSS2_TCTI_RECEIVE_FCN of tss2_tcti.h. */
const TRANSMIT = koffi.proto('uint32_t (void *context, size_t size, const uint8_t *command)');
const RECEIVE = koffi.proto('uint32_t (void *context, _Inout_ size_t *size, _Out_ uint8_t *response, int32_t timeout)');

/** TSS2_TCTI_CONTEXT_COMMON_V1 of tss2_tcti.h up to `receive`: what the macros Tss2_Tcti_Transmit and _Receive read. */
const CONTEXT_HEAD = koffi.struct({ magic: 'uint64_t', version: 'uint64_t', transmit: 'void *', receive: 'void *' });

interface ContextHead {
  readonly version: number | bigint;
  readonly transmit: unknown;
  readonly receive: unknown;
}

/** Whether the library can be loaded here, and if not, why. */
export function tctiLibrary(): { readonly found: true } | { readonly found: false; readonly reason: string } {
  try {
    koffi.load(LIBRARY);
    return { found: true };
  } catch (error) {
    return { found: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Opens what a TCTI configuration string names, such as `device:/dev/tpmrm0` or `swtpm:path=/run/swtpm.sock`.
 * Errors: TctiError; Error when libtss2-tctildr is not installed.
 */
export async function openTcti(configuration: string): Promise<TctiContext> {
  // libtss2 would write to our stderr what the errors below say; whoever wants its words sets TSS2_LOG.
  process.env['TSS2_LOG'] ??= 'all+none';
  const library = koffi.load(LIBRARY);
  const initialize = library.func(
    'uint32_t Tss2_TctiLdr_Initialize(const char *conf, _Out_ void **context)',
  ) as AsyncCall;
  const finalize = library.func('void Tss2_TctiLdr_Finalize(_Inout_ void **context)') as AsyncCall;
  const out: unknown[] = [null];
  const opened = await onThread(initialize, configuration, out);
  if (opened !== 0) throw new TctiError('Tss2_TctiLdr_Initialize', opened);
  const context = out[0];
  const head = koffi.decode(context, CONTEXT_HEAD) as ContextHead;
  if (Number(head.version) < 1 || head.transmit === null || head.receive === null) {
    await onThread(finalize, [context]);
    throw new Error('the TCTI context has no transmit and receive functions');
  }
  const transmit = koffi.decode(head.transmit, TRANSMIT) as AsyncCall;
  const receive = koffi.decode(head.receive, RECEIVE) as AsyncCall;
  return {
    exchange: async (command) => {
      const sent = await onThread(transmit, context, command.length, command);
      if (sent !== 0) throw new TctiError('Tss2_Tcti_Transmit', sent);
      const response = Buffer.alloc(MAX_RESPONSE);
      const size = [MAX_RESPONSE];
      const received = await onThread(receive, context, size, response, BLOCK);
      if (received !== 0) throw new TctiError('Tss2_Tcti_Receive', received);
      return response.subarray(0, size[0]);
    },
    finalize: async () => {
      await onThread(finalize, [context]);
    },
  };
}
