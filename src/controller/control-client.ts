// Speaks with the controller over its socket: one request and its answer, or a stream of lines to follow.
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { ERROR_CODES, TouchstoneError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Name of the socket in the controller's state directory (controller/settings.ts, not loaded here for its weight). */
const SOCKET = 'control.sock';

function unavailable(path: string, cause: unknown): never {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = code === 'EACCES' || code === 'EPERM' ? 'this user may not open it' : 'nobody answers there';
  throw new TouchstoneError('CONTROL_UNAVAILABLE', `no controller at ${path}: ${why}`, { cause });
}

/** Codes travel as they are; one that this version does not know is a refusal. */
function refusal(document: unknown): TouchstoneError {
  const { code, message } = (document as { error?: { code?: unknown; message?: unknown } }).error ?? {};
  const known = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'CONTROL_REFUSED';
  // What was malformed is what the caller wrote.
  const shown = known.startsWith('WIRE_') ? 'USAGE' : known;
  return new TouchstoneError(shown, typeof message === 'string' ? message : 'the controller gave no reason');
}

async function open(state: string, action: string, body: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
  const socketPath = join(state, SOCKET);
  const bytes = Buffer.from(JSON.stringify(body));
  const asked = httpRequest({
    socketPath,
    // A connection that was kept may lead to a controller that has closed it meanwhile, or is gone.
    agent: false,
    method: 'POST',
    path: `/v1/${action}`,
    headers: { 'content-type': 'application/json', 'content-length': bytes.length },
    ...(signal === undefined ? {} : { signal }),
  });
  asked.end(bytes);
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return response;
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    return unavailable(socketPath, cause);
  }
}

async function documentOf(response: IncomingMessage): Promise<unknown> {
  let json = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) json += chunk;
  return JSON.parse(json);
}

/** The controller's answer. Errors: TouchstoneError CONTROL_UNAVAILABLE, or what the controller says. */
export async function askController(state: string, action: string, body: object): Promise<unknown> {
  const response = await open(state, action, body);
  const document = await documentOf(response);
  if (response.statusCode !== 200) throw refusal(document);
  return document;
}

/** A document for each device, and again whenever it changed, until `signal`. Errors as askController. */
export async function* followDevices(
  state: string,
  devices: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  const response = await open(state, 'follow', { devices }, signal).catch((cause: unknown) => {
    if (signal.aborted) return null;
    throw cause;
  });
  if (response === null) return;
  if (response.statusCode !== 200) throw refusal(await documentOf(response));
  let rest = '';
  response.setEncoding('utf8');
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as unknown;
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw new TouchstoneError('CONTROL_UNAVAILABLE', 'the controller has gone away', { cause });
  }
  if (!signal.aborted) throw new TouchstoneError('CONTROL_UNAVAILABLE', 'the controller has stopped');
}
