// A plain folder served over HTTP with ranges, which misbehaves where a test says so.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';

/** True: it has answered, or never will. `path`: relative to the folder. */
export type Trick = (path: string, request: IncomingMessage, response: ServerResponse, body: Buffer | null) => boolean;

function fileOf(folder: string, path: string): Buffer | null {
  const file = join(folder, path);
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(file) : null;
}

/** As a well-behaved server does it: one open range, an entity tag. */
export function serve(request: IncomingMessage, response: ServerResponse, body: Buffer | null): void {
  if (body === null) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const fresh = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const from = range !== null && fresh ? Number(range[1]) : 0;
  const part = body.subarray(from);
  const headers = { 'content-length': part.length, etag };
  if (from > 0) {
    const contentRange = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(206, { ...headers, 'content-range': contentRange });
  } else response.writeHead(200, headers);
  response.end(request.method === 'HEAD' ? undefined : part);
}

export class WebServer implements AsyncDisposable {
  readonly url: string;
  /** `METHOD path` of every request, and its range. */
  readonly asked: string[] = [];
  trick: Trick = () => false;
  readonly #server: Server;

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('no port');
    this.url = `${scheme}://localhost:${address.port}/`;
  }

  static async start(folder: string, tls: { key: string; cert: string } | null = null): Promise<WebServer> {
    const server = tls === null ? createServer() : createTlsServer(tls);
    server.listen(0, 'localhost');
    await once(server, 'listening');
    const self = new WebServer(server, tls === null ? 'http' : 'https');
    server.on('request', (request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname).slice(1);
      self.asked.push(`${request.method ?? ''} ${path} ${request.headers.range ?? ''}`.trim());
      response.on('error', () => {});
      const body = fileOf(folder, path);
      if (!self.trick(path, request, response, body)) serve(request, response, body);
    });
    return self;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
