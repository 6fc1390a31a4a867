// swtpm's own data socket, without libtss2: for tests and development.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { once } from 'node:events';
import { TpmError } from '../tpm-error.ts';
import type { TpmTransport } from './transport.ts';

/** Where swtpm listens: a Unix socket path, or a TCP port. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** TPM response header: UINT16 tag ‖ UINT32 responseSize ‖ UINT32 responseCode. */
const HEADER = 10;
const MAX_RESPONSE = 4096;

/** Collects one response from the socket; gives up when the connection ends first. */
function nextResponse(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const settle = (outcome: () => void): void => {
      socket.off('data', onData).off('close', onClose).off('error', onError);
      outcome();
    };
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      if (received.length < HEADER) return;
      const size = received.readUInt32BE(2);
      if (size < HEADER || size > MAX_RESPONSE || received.length > size) {
        settle(() => {
          reject(new Error(`a response that says ${size} bytes, with ${received.length} received`));
        });
      } else if (received.length === size) {
        settle(() => {
          resolve(received);
        });
      }
    };
    const onClose = (): void => {
      settle(() => {
        reject(new Error('the connection ended before the response'));
      });
    };
    const onError = (error: Error): void => {
      settle(() => {
        reject(error);
      });
    };
    socket.on('data', onData).on('close', onClose).on('error', onError);
  });
}

/** Connects to swtpm's data channel. Errors: TpmError with code TPM_UNAVAILABLE. */
export async function openSocketTransport(address: SocketAddress): Promise<TpmTransport> {
  const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
  const unavailable = (cause: unknown): TpmError =>
    new TpmError('TPM_UNAVAILABLE', `the TPM at ${where} does not answer`, { cause });
  const socket = connect({ ...address, noDelay: true } as NetConnectOpts);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    throw unavailable(cause);
  }
  // Between commands nobody else listens; a connection that breaks then shows itself at the next command.
  socket.on('error', () => {});
  return {
    raw: true,
    transmit: async (command) => {
      if (!socket.writable) throw unavailable(new Error('the connection has ended'));
      const response = nextResponse(socket);
      // One write: swtpm takes what one read gives it for one whole command.
      socket.write(command);
      try {
        return await response;
      } catch (cause) {
        socket.destroy();
        throw unavailable(cause);
      }
    },
    close: async () => {
      if (socket.closed) return;
      const gone = once(socket, 'close');
      socket.destroy();
      await gone;
    },
  };
}
