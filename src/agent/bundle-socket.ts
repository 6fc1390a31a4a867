// STATE/bundle.sock: where what was carried here is handed to the running agent, by its own user alone.
import { chmod, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { TouchstoneError, WireError } from '../errors.ts';

/** Name of the socket in the state directory. */
export const BUNDLE_SOCKET = 'bundle.sock';

/**
 * What is asked: one line of JSON, then the bytes of a bundle or of a signed result, then the end of what the asker sends. The answer
 * is lines of JSON: `progress` any number of times, then `end` or `failed` once.
 */
export type BundleAsk =
  | { readonly v: 1; readonly do: 'bundle'; readonly when: 'decided' | 'trial' }
  | { readonly v: 1; readonly do: 'result' };

export type BundleLine =
  | { readonly progress: object }
  | { readonly end: object }
  | { readonly failed: { readonly code: string; readonly message: string } };

const askShape: Shape<BundleAsk> = v.variant('do', [
  v.strictObject({ v: v.literal(1), do: v.literal('bundle'), when: v.picklist(['decided', 'trial']) }),
  v.strictObject({ v: v.literal(1), do: v.literal('result') }),
]);

const MAX_ASK = 256;
const MAX_ASKERS = 4;

/** Does what is asked. `tell` says how far it is; the answer is the end. Errors: TouchstoneError; the signal's reason. */
export type BundleServe = (
  ask: BundleAsk,
  bytes: AsyncIterable<Buffer>,
  tell: (progress: object) => void,
  signal: AbortSignal,
) => Promise<object>;

/** The first line, and a way to go on reading after it. Errors: WireError. */
async function readAsk(
  pieces: AsyncIterator<Buffer>,
): Promise<{ readonly ask: BundleAsk; readonly rest: AsyncGenerator<Buffer, void> }> {
  let held = Buffer.alloc(0);
  for (;;) {
    const end = held.indexOf(0x0a);
    if (end !== -1) {
      const ask = parseShape(askShape, parseJsonStrict(held.subarray(0, end)), 'ask');
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

export class BundleSocket implements AsyncDisposable {
  readonly #server: Server;
  readonly #serve: BundleServe;
  readonly #broken: (error: unknown) => void;
  readonly #askers = new Set<Socket>();

  private constructor(server: Server, serve: BundleServe, broken: (error: unknown) => void) {
    this.#server = server;
    this.#serve = serve;
    this.#broken = broken;
    server.maxConnections = MAX_ASKERS;
    server.on('connection', (socket) => {
      this.#askers.add(socket);
      socket.on('close', () => {
        this.#askers.delete(socket);
      });
      void this.#answer(socket);
    });
  }

  /** Listens at `path`, for the agent's own user and root. `broken`: hears what no asker can do anything about. Errors: of the file system. */
  static async open(path: string, serve: BundleServe, broken: (error: unknown) => void): Promise<BundleSocket> {
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
    server.unref();
    return new BundleSocket(server, serve, broken);
  }

  async #answer(socket: Socket): Promise<void> {
    const gone = new AbortController();
    socket.on('error', () => {});
    socket.on('close', () => {
      gone.abort(new Error('who asked has gone'));
    });
    const say = (line: BundleLine): void => {
      if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
    };
    // Not closed when its reader has read enough: the answer goes over the same socket.
    const pieces = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    try {
      const { ask, rest } = await readAsk(pieces);
      const tell = (progress: object): void => {
        say({ progress });
      };
      say({ end: await this.#serve(ask, rest, tell, gone.signal) });
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof TouchstoneError)) {
        this.#broken(error);
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
