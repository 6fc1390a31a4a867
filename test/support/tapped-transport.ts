// A transport with somebody on the bus: all bytes are kept, and answers may be changed on their way.
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';

export interface TappedTransport extends TpmTransport {
  /** Everything that passed, in order. */
  readonly seen: Buffer[];
  /** Set it to change answers; `code` is the TPM_CC of the command. */
  change: (response: Buffer, code: number) => Buffer | Promise<Buffer>;
}

export function tapped(inner: TpmTransport): TappedTransport {
  const seen: Buffer[] = [];
  const tap: TappedTransport = {
    raw: inner.raw,
    seen,
    change: (response) => response,
    transmit: async (command) => {
      seen.push(Buffer.from(command));
      const response = await tap.change(await inner.transmit(command), command.readUInt32BE(6));
      seen.push(Buffer.from(response));
      return response;
    },
    close: () => inner.close(),
  };
  return tap;
}
