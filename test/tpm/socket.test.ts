// The transport to swtpm's socket: answers in pieces are put together, answers that can't be are the end of the connection.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';

const COMMAND = Buffer.from('80010000000c0000017b0020', 'hex');
const OK = Buffer.from('80010000000a00000000', 'hex');

let dir: string;
let path: string;
let server: Server;
let answer: (client: Socket) => void;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'socket-'));
  path = join(dir, 's');
  server = createServer((client) => {
    client.on('data', () => {
      answer(client);
    });
    client.on('error', () => {});
  });
  server.listen(path);
  await once(server, 'listening');
});
afterEach(async () => {
  server.close();
  await rm(dir, { recursive: true, force: true });
});

test('an answer that comes in pieces is one answer, and the next command works', async () => {
  const transport = await openSocketTransport({ path });
  answer = (client) => {
    client.write(OK.subarray(0, 3));
    setImmediate(() => client.write(OK.subarray(3)));
  };
  expect(await transport.transmit(COMMAND)).toEqual(OK);
  expect(await transport.transmit(COMMAND)).toEqual(OK);
  await transport.close();
  await transport.close();
});

const sized = (size: number): Buffer => {
  const head = Buffer.from(OK);
  head.writeUInt32BE(size, 2);
  return head;
};

test.each([
  ['that says fewer bytes than a header', sized(9)],
  ['that says more bytes than any answer', sized(4097)],
  ['that has more bytes than it says', Buffer.concat([OK, Buffer.alloc(1)])],
  ['that ends before its end', null],
])('an answer %s ends the connection', async (_, bytes) => {
  const transport = await openSocketTransport({ path });
  answer = (client) => {
    if (bytes === null) client.end(OK.subarray(0, 5));
    else client.write(bytes);
  };
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  await transport.close();
});

/** A TCP server on a free port; gives the port. */
async function listenOnTcp(tcp: Server): Promise<number> {
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const address = tcp.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('a connection that is reset in the middle of an answer is unavailable', async () => {
  const tcp = createServer((client) => client.once('data', () => client.resetAndDestroy()));
  const port = await listenOnTcp(tcp);
  const transport = await openSocketTransport({ host: '127.0.0.1', port });
  await expect(transport.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  await transport.close();
  tcp.close();
});

test('a TCP port where nobody listens is unavailable, by its address', async () => {
  const tcp = createServer();
  const port = await listenOnTcp(tcp);
  tcp.close();
  await once(tcp, 'close');
  await expect(openSocketTransport({ host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'TPM_UNAVAILABLE',
    message: expect.stringContaining(`127.0.0.1:${port}`) as unknown,
  });
});
