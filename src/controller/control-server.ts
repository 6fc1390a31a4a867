// The control interface: HTTP with JSON over a Unix socket that only the controller's own user can open.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { ConfigError, isPassing, TouchstoneError } from '../errors.ts';
import type { Bell } from './bell.ts';
import { longestBody, routeOf } from './control-routes.ts';
import type { RouteParts } from './control-routes.ts';
import { takesConnections } from './takes-connections.ts';
import { deviceDetail } from './views.ts';

/** People and scripts that follow at once. */
const MAX_FOLLOWERS = 64;
const MAX_FOLLOWED = 1000;
const POLL_MS = 1000;
/** sun_path holds 108 bytes with its NUL. */
const LONGEST_PATH = 107;

export interface ControlParts extends RouteParts {
  readonly bell: Bell;
}

async function bodyOf(request: IncomingMessage, longest: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longest) throw new TouchstoneError('CONTROL_REFUSED', `this request is at most ${longest} bytes long`);
    chunks.push(chunk);
  }
  return length === 0 ? {} : parseJsonStrict(Buffer.concat(chunks), { maxBytes: longest, maxDepth: 8 });
}

function send(response: ServerResponse, status: number, document: unknown): void {
  const bytes = Buffer.from(JSON.stringify(document));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

/** Errors: ConfigError CONFIG_INVALID when nobody could listen at `path`, because it is too long or another controller does. */
export async function assertFree(path: string): Promise<void> {
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new ConfigError(
      'CONFIG_INVALID',
      `${path} is longer than ${LONGEST_PATH} bytes: use a shorter state directory`,
    );
  }
  if (await takesConnections({ path }))
    throw new ConfigError('CONFIG_INVALID', `another controller already listens at ${path}`);
}

export class ControlServer implements AsyncDisposable {
  readonly #parts: ControlParts;
  readonly #server: Server;
  readonly #stop = new AbortController();
  #followers = 0;

  private constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.#fail(response, error);
      });
    });
  }

  /** Listens at `path`. Errors: ConfigError CONFIG_INVALID when another controller does. */
  static async open(path: string, parts: ControlParts): Promise<ControlServer> {
    await assertFree(path);
    // Left behind by one that was killed.
    await rm(path, { force: true });
    const control = new ControlServer(parts);
    const before = process.umask(0o177);
    try {
      control.#server.listen(path);
    } finally {
      process.umask(before);
    }
    await once(control.#server, 'listening');
    await chmod(path, 0o600);
    return control;
  }

  #fail(response: ServerResponse, error: unknown): void {
    const known = error instanceof TouchstoneError;
    const code = known ? error.code : 'CONTROL_REFUSED';
    const message = error instanceof Error ? error.message : String(error);
    if (response.headersSent) response.destroy();
    else send(response, known ? 409 : 500, { error: { code, message } });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      gone.abort();
    });
    const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
    const [, version, action = ''] = (request.url ?? '').split('/');
    if (request.method !== 'POST' || version !== 'v1') {
      send(response, 404, { error: { code: 'CONTROL_REFUSED', message: 'requests are POST /v1/ACTION' } });
      return;
    }
    const body = await bodyOf(request, longestBody(action));
    const route = routeOf(action);
    if (action === 'follow') await this.#follow(body, response, signal);
    else if (route !== null) send(response, 200, await route(this.#parts, body, signal));
    else send(response, 404, { error: { code: 'CONTROL_REFUSED', message: `there is no action ${action}` } });
  }

  /** One line of JSON a device, and another one whenever something about it changed, until the other side hangs up. */
  async #follow(body: unknown, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const names = (body as { devices?: unknown } | null)?.devices;
    if (!Array.isArray(names) || names.length > MAX_FOLLOWED || !names.every((one) => typeof one === 'string')) {
      throw new TouchstoneError('CONTROL_REFUSED', `follow takes at most ${MAX_FOLLOWED} devices`);
    }
    if (this.#followers >= MAX_FOLLOWERS) throw new TouchstoneError('CONTROL_REFUSED', 'too many follow already');
    this.#followers += 1;
    try {
      const { operator, bell } = this.#parts;
      const ids = (await Promise.all(names.map(async (name) => operator.find(name)))).map(({ id }) => id);
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
      const sent = new Map<string, string>();
      while (!signal.aborted) {
        for (const id of ids) {
          const line = await this.#lineOf(id);
          if (line === null || sent.get(id) === line) continue;
          sent.set(id, line);
          if (!response.write(`${line}\n`)) await once(response, 'drain', { signal });
        }
        await bell.wait(POLL_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#followers -= 1;
      response.end();
    }
  }

  /** What followers read of a device; null while the registry is gone. */
  async #lineOf(id: string): Promise<string | null> {
    const { views } = this.#parts;
    try {
      const row = await views.registry.device(id);
      return row === null ? 'null' : JSON.stringify({ device: await deviceDetail(row, views) });
    } catch (error) {
      if (isPassing(error)) return null;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}
