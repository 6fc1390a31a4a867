// How the controller is asked: each time anew.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askController } from '../../src/controller/control-client.ts';

test('a question relies on no connection of the one before: its controller may have closed it in this very moment', async () => {
  const state = await mkdtemp(join(tmpdir(), 'control-'));
  const answered = new Set<Socket>();
  const server = createServer((request, response) => {
    if (answered.has(request.socket)) request.socket.destroy();
    else {
      answered.add(request.socket);
      response.end('{}');
    }
  });
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await rm(state, { recursive: true, force: true });
  });
  server.listen(join(state, 'control.sock'));
  await once(server, 'listening');
  for (let i = 0; i < 3; i++) {
    expect(await askController(state, 'list', {})).toEqual({});
    // The connection is free for the next one by then.
    await new Promise(setImmediate);
  }
});
