// Asks the agent that runs on this device for something, over one of its sockets.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { AnswerLine } from '../agent/ask-socket.ts';
import { ERROR_CODES, TouchstoneError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Connects to the agent's socket at `path`. Errors: AGENT_UNAVAILABLE; `others`: why another user may not. */
export async function reachAgent(path: string, others: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  try {
    await once(socket, 'connect');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const why = code === 'EACCES' || code === 'EPERM' ? others : 'nobody answers there';
    throw new TouchstoneError('AGENT_UNAVAILABLE', `no agent at ${path}: ${why}`, { cause });
  }
  // Whatever breaks is seen by who reads the answer.
  socket.on('error', () => {});
  return socket;
}

/** The one answer, after any progress. Errors: TouchstoneError as the agent says, or AGENT_UNAVAILABLE. */
export async function hearAgent(socket: Socket, tell: (progress: object) => void = () => undefined): Promise<object> {
  try {
    for await (const text of createInterface({ input: socket, crlfDelay: Infinity })) {
      const line = JSON.parse(text) as AnswerLine;
      if ('progress' in line) tell(line.progress);
      else if ('end' in line) return line.end;
      else {
        const known = Object.hasOwn(ERROR_CODES, line.failed.code)
          ? (line.failed.code as ErrorCode)
          : 'CONTROL_REFUSED';
        throw new TouchstoneError(known.startsWith('WIRE_') ? 'USAGE' : known, line.failed.message);
      }
    }
  } catch (cause) {
    if (cause instanceof TouchstoneError) throw cause;
    throw new TouchstoneError('AGENT_UNAVAILABLE', 'the agent has gone away', { cause });
  }
  throw new TouchstoneError(
    'AGENT_UNAVAILABLE',
    'the agent has stopped; what it began it goes on with after its start',
  );
}
