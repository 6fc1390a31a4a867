// Asks web servers: redirects, TLS, proxies and the time until an answer begins. What is in the answer is for others to judge.
import type * as Http from 'node:http';
import type * as Https from 'node:https';
import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import type { TransferLimits } from './limits.ts';
import { assertAllowed } from './source-url.ts';

export interface Question {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface WebParts {
  readonly clock: Clock;
  readonly limits: TransferLimits;
  /** PEM certificate authorities instead of the usual ones; null: those. */
  readonly ca: string | null;
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  readonly env: NodeJS.ProcessEnv;
}

/** The name of an address for messages: never what could be a secret in it. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, 300);
}

/** The way there failed: it may be another the next time. */
export function unavailable(url: URL, why: string, cause?: unknown): ReleaseError {
  return new ReleaseError('TRANSFER_UNAVAILABLE', `${shownUrl(url)}: ${why}`, { cause });
}

/** The server answers something that a release cannot be made of. */
export function refusedAnswer(url: URL, why: string, cause?: unknown): ReleaseError {
  return new ReleaseError('TRANSFER_REFUSED', `${shownUrl(url)}: ${why}`, { cause });
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Errors of TLS that another attempt does not mend. */
const UNTRUSTED = /^(?:CERT_|ERR_TLS_CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|ERR_SSL)/;

function failure(url: URL, cause: unknown): ReleaseError {
  if (cause instanceof ReleaseError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = cause instanceof Error ? cause.message : 'no answer';
  const words = why === '' ? code : why;
  return UNTRUSTED.test(code) ? refusedAnswer(url, `TLS: ${words}`, cause) : unavailable(url, words, cause);
}

interface Clients {
  readonly http: typeof Http;
  readonly https: typeof Https;
  readonly plain: Http.Agent;
  readonly secure: Https.Agent;
}

/** Got when they are needed, and not imported: an import of node:http loads WebSocket and fetch too, 14 MB that a device at rest has no use for. */
function clients({ env, ca }: WebParts): Clients {
  const [http, https] = [process.getBuiltinModule('node:http'), process.getBuiltinModule('node:https')];
  const options = { keepAlive: true, maxSockets: 4, proxyEnv: env };
  return {
    http,
    https,
    plain: new http.Agent(options),
    secure: new https.Agent({ ...options, ...(ca === null ? {} : { ca }) }),
  };
}

export class Web implements Disposable {
  readonly #parts: WebParts;
  #clients: Clients | null = null;

  constructor(parts: WebParts) {
    this.#parts = parts;
  }

  /** The head of the last answer after all redirects; its body is unread. Errors: ReleaseError TRANSFER_…; the signal's reason. */
  async ask(question: Question): Promise<Http.IncomingMessage> {
    const { limits } = this.#parts;
    let { url } = question;
    for (let hop = 0; ; hop++) {
      assertAllowed(url, limits.plainHttp);
      const answer = await this.#once({ ...question, url });
      const status = answer.statusCode ?? 0;
      if (!REDIRECTS.has(status)) return this.#checked(url, status, answer);
      answer.destroy();
      const { location } = answer.headers;
      if (location === undefined || !URL.canParse(location, url.href))
        throw refusedAnswer(url, 'redirects to no address');
      if (hop >= limits.redirects) throw refusedAnswer(url, `more than ${limits.redirects} redirects`);
      url = new URL(location, url);
    }
  }

  #checked(url: URL, status: number, answer: Http.IncomingMessage): Http.IncomingMessage {
    if (status >= 500 || status === 408 || status === 429) {
      answer.destroy();
      throw unavailable(url, `the server answers ${status}`);
    }
    const encoding = answer.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      answer.destroy();
      throw refusedAnswer(url, `the server sends it encoded (${encoding.slice(0, 32)}), which was not asked for`);
    }
    return answer;
  }

  async #once({ method, url, headers, signal }: Question): Promise<Http.IncomingMessage> {
    const { clock, limits } = this.#parts;
    const { http, https, plain, secure } = (this.#clients ??= clients(this.#parts));
    const [asked, agent] = url.protocol === 'https:' ? [https.request, secure] : [http.request, plain];
    const began = new AbortController();
    const waiting = AbortSignal.any([signal, began.signal]);
    try {
      return await new Promise((resolve, reject) => {
        const all = { 'accept-encoding': 'identity', 'user-agent': 'touchstone', ...headers };
        const request = asked(url, { method, headers: all, agent, signal, maxHeaderSize: 16_384 });
        request.on('response', (answer) => {
          // Whoever reads hears of it; while nobody does, it must not end the process.
          answer.on('error', () => {});
          resolve(answer);
        });
        request.on('error', reject);
        request.end();
        clock.sleep(limits.headMs, waiting).then(
          () => request.destroy(unavailable(url, `no answer within ${limits.headMs} ms`)),
          () => undefined,
        );
      });
    } catch (error) {
      signal.throwIfAborted();
      throw failure(url, error);
    } finally {
      began.abort();
    }
  }

  [Symbol.dispose](): void {
    this.#clients?.plain.destroy();
    this.#clients?.secure.destroy();
  }
}
