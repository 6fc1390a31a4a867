// Whether the broker that answers on a port is ours: it proves so by a certificate of our authority.
import { connect } from 'node:tls';

const LIMIT_MS = 2000;

/** Nobody sees from a port number who listens there: another program may have taken it first. */
export async function isOurBroker(port: number, caPem: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host: '127.0.0.1', port, ca: caPem, servername: 'localhost', timeout: LIMIT_MS });
    const end = (ours: boolean) => (): void => {
      socket.destroy();
      settle(ours);
    };
    socket.once('secureConnect', end(true));
    socket.once('error', end(false));
    socket.once('timeout', end(false));
    socket.once('close', end(false));
  });
}
