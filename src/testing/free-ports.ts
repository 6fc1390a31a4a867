// TCP ports of this machine that nobody listens on.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** `count` different free ports of 127.0.0.1: held together, so that no two are the same, and let go. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  try {
    for (const server of servers) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
      ports.push(address.port);
    }
  } finally {
    for (const server of servers) server.close();
  }
  return ports;
}
