// Whether a daemon listens: asked by the next one of its kind, and by whoever started it.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { NetConnectOpts } from 'node:net';

/** Whether somebody takes connections there: a socket's file exists before anybody listens at it. */
export async function takesConnections(where: NetConnectOpts): Promise<boolean> {
  const socket = connect(where);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
