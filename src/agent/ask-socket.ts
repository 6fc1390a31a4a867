// A socket on which people on the device ask the running agent for something: one question, any number of progress lines, one answer.
import { chmod, chown, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';

/**
 * The question is one line of JSON, then any bytes that belong to it, then the end of what the asker sends. The answer is lines of JSON:
 * `progress` any number of times, then `end` or `failed` once.
 */
export type AnswerLine =
  | { readonly progress: object }
  | { readonly end: object }
  | { readonly failed: { readonly code: string; readonly message: string } };

const MAX_ASK = 4096;
const MAX_ASKERS = 4;
/** Who connects and asks nothing must not keep others out. */
const ASK_WITHIN_MS = 10_000;

/** Does what is asked. `tell` says how far it is; the answer is the end. Errors: TouchstoneError; the signal's reason. */
export type Serve<Ask> = (
  ask: Ask,
  bytes: AsyncIterable<Buffer>,
  tell: (progress: object) => void,
  signal: AbortSignal,
) => Promise<object>;

export interface AskSocketParts<Ask> {
  readonly path: string;
  /** Whose members may ask, beside root and the agent's own user; null: nobody. */
  readonly gid: number | null;
  readonly shape: Shape<Ask>;
  readonly serve: Serve<Ask>;
  /** Hears what no asker can do anything about. */
  readonly broken: (error: unknown) => void;
}

/** The first line, and a way to go on reading after it. Errors: WireError. */
async function readAsk<Ask>(
  shape: Shape<Ask>,
  pieces: AsyncIterator<Buffer>,
): Promise<{ readonly ask: Ask; readonly rest: AsyncGenerator<Buffer, void> }> {
  let held = Buffer.alloc(0);
  for (;;) {
    const end = held.indexOf(0x0a);
    if (end !== -1) {
      const ask = parseShape(shape, parseJsonStrict(held.subarray(0, end)), 'ask');
      return { ask, rest: restOf(held.subarray(end + 1), pieces) };
    }
    if (held.length > MAX_ASK) throw new WireError('WIRE_LIMIT', 'no line ends', { field: 'ask', offset: MAX_ASK });
    const { done, value } = await pieces.next();
    if (done === true) throw new WireError('WIRE_SHORT', 'no line ends', { field: 'ask', offset: held.length });
    held = Buffer.concat([held, value]);
  }
}

async function* restOf(first: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void> {
  if (first.length > 0) yield first;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}

export class AskSocket<Ask> implements AsyncDisposable {
  readonly #server: Server;
  readonly #parts: AskSocketParts<Ask>;
  readonly #askers = new Set<Socket>();

  private constructor(server: Server, parts: AskSocketParts<Ask>) {
    this.#server = server;
    this.#parts = parts;
    server.maxConnections = MAX_ASKERS;
    server.on('connection', (socket) => {
      this.#askers.add(socket);
      socket.on('close', () => {
        this.#askers.delete(socket);
      });
      void this.#answer(socket);
    });
  }

  /** Listens. Errors: ConfigError when the socket cannot be given to the group; of the file system. */
  static async open<Ask>(parts: AskSocketParts<Ask>): Promise<AskSocket<Ask>> {
    const { path, gid } = parts;
    // Left by an agent that was killed; the state directory is locked, so nobody else listens there.
    await rm(path, { force: true });
    const server = createServer({ allowHalfOpen: true });
    const before = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
    await once(server, 'listening');
    await chmod(path, 0o600);
    if (gid !== null) {
      await chown(path, -1, gid).catch((cause: unknown) => {
        server.close();
        const what = `${path} cannot be given to group ${gid}: let the agent's user be a member of it`;
        throw new ConfigError('CONFIG_INVALID', what, { cause });
      });
      await chmod(path, 0o660);
    }
    server.unref();
    return new AskSocket(server, parts);
  }

  async #answer(socket: Socket): Promise<void> {
    const gone = new AbortController();
    const silent = setTimeout(() => socket.destroy(), ASK_WITHIN_MS);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(silent);
      gone.abort(new Error('who asked has gone'));
    });
    const say = (line: AnswerLine): void => {
      if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
    };
    // Not closed when its reader has read enough: the answer goes over the same socket.
    const pieces = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    try {
      const { ask, rest } = await readAsk(this.#parts.shape, pieces);
      clearTimeout(silent);
      const tell = (progress: object): void => {
        say({ progress });
      };
      say({ end: await this.#parts.serve(ask, rest, tell, gone.signal) });
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof TouchstoneError)) {
        this.#parts.broken(error);
        socket.destroy();
        return;
      }
      say({ failed: { code: error.code, message: error.message } });
    }
    socket.end();
    // Whatever still comes is thrown away, or its sender would never read the answer.
    for (let left = true; left;)
      left = await pieces.next().then(
        ({ done }) => done !== true,
        () => false,
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#askers) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
