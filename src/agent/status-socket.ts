// STATE/status.sock: what status.json says, as a stream of lines to every program that listens. Nothing is ever read from it.
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { once } from 'node:events';
import { ConfigError } from '../errors.ts';
import type { AgentStatus } from './status.ts';

/** Listeners at once: a device has few programs that run models, and a socket left open by mistake must not cost memory. */
const MAX_LISTENERS = 32;
/** What a listener has not read yet; one that does not read is cut off and connects again. */
const MAX_UNREAD_BYTES = 256 * 1024;
/** Longest path that a Unix socket can have (unix(7)). */
const MAX_PATH = 107;

export class StatusSocket implements AsyncDisposable {
  readonly #server: Server;
  readonly #listeners = new Set<Socket>();
  #line: string | null = null;

  private constructor(server: Server) {
    this.#server = server;
    server.maxConnections = MAX_LISTENERS;
    server.on('connection', (socket) => {
      this.#listeners.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#listeners.delete(socket);
      });
      // Whatever is sent here is thrown away unread.
      socket.resume();
      if (this.#line !== null) socket.write(this.#line);
    });
  }

  /** Listens at `path`, for everybody on this machine: the state of a slot is no secret. Errors: ConfigError; of the file system. */
  static async open(path: string): Promise<StatusSocket> {
    if (Buffer.byteLength(path) > MAX_PATH) {
      throw new ConfigError('CONFIG_INVALID', `${path} is too long for a socket: choose a shorter state directory`);
    }
    // Left by an agent that was killed; the state directory is locked, so nobody else listens there.
    await rm(path, { force: true });
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    await chmod(path, 0o666);
    server.unref();
    return new StatusSocket(server);
  }

  /** Sends one JSON document as a line to all, and to whoever connects later. */
  publish(status: AgentStatus): void {
    this.#line = `${JSON.stringify(status)}\n`;
    for (const socket of this.#listeners) {
      if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
      else socket.write(this.#line);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#listeners) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
