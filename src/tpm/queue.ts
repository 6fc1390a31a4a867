// One command at a time, in order: deadlines by command class, resubmission of what the TPM asks to be sent again.
import { setTimeout as sleep } from 'node:timers/promises';
import { isRetry } from './rc.ts';
import { TpmError, TpmResponseError } from './tpm-error.ts';
import type { TpmTransport } from './transport/transport.ts';

/** How long a command may take before it counts as late: key = derivation of an RSA key, which some chips need minutes for. */
export type DeadlineClass = 'short' | 'nv' | 'key';

export interface QueueTiming {
  /** Milliseconds by class, until a command counts as late and is reported. */
  readonly deadlines: Readonly<Record<DeadlineClass, number>>;
  /** Milliseconds more, at least, that a late command is waited for: a stopped TPM process or a suspended host is no failure. */
  readonly grace: number;
  /** Milliseconds before each resubmission; their number bounds the resubmissions. */
  readonly backoff: readonly number[];
}

/** About 25 s of resubmissions: a TPM that is testing itself or limits NV writes needs seconds. */
export const QUEUE_TIMING: QueueTiming = {
  deadlines: { short: 5_000, nv: 30_000, key: 300_000 },
  grace: 30_000,
  backoff: [1, 5, 20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 8000],
};

/** What a queue tells its owner. `late`: the first deadline passed; `answered` after that; `retried`: resubmitted because of `rc`. */
export type QueueEvent =
  | { readonly kind: 'late' | 'answered'; readonly command: string; readonly afterMs: number }
  | { readonly kind: 'retried'; readonly command: string; readonly rc: number; readonly attempt: number };

export interface QueueOptions {
  readonly timing?: QueueTiming;
  readonly onEvent?: (event: QueueEvent) => void;
}

/** Response header: UINT16 tag ‖ UINT32 responseSize ‖ UINT32 responseCode. */
const HEADER = 10;
const MAX_RESPONSE = 4096;
const ST_NO_SESSIONS = 0x8001;
const ST_SESSIONS = 0x8002;

/** Checks tag and size against the bytes that came, and gives the response code. A success carries the tag of its command. */
function responseCodeOf(command: Buffer, response: Buffer, name: string): number {
  const broken = (why: string): TpmError => new TpmError('TPM_RESPONSE', `${name}: the response is malformed: ${why}`);
  if (response.length < HEADER || response.length > MAX_RESPONSE) throw broken(`${response.length} bytes`);
  const tag = response.readUInt16BE(0);
  const size = response.readUInt32BE(2);
  const rc = response.readUInt32BE(6);
  if (size !== response.length) throw broken(`it says ${size} bytes and has ${response.length}`);
  if (rc === 0) {
    if (tag !== command.readUInt16BE(0)) throw broken(`tag 0x${tag.toString(16)}`);
  } else if (tag !== ST_NO_SESSIONS && tag !== ST_SESSIONS && rc !== 0x1e) {
    throw broken(`tag 0x${tag.toString(16)} with response code 0x${rc.toString(16)}`);
  }
  return rc;
}

/** The only user of its transport. Errors of `submit`: TpmError; TpmResponseError when the TPM refuses. */
export class CommandQueue implements AsyncDisposable {
  readonly #transport: TpmTransport;
  readonly #timing: QueueTiming;
  readonly #onEvent: (event: QueueEvent) => void;
  #tail: Promise<unknown> = Promise.resolve();
  /** Once an answer is missing, the next bytes to arrive could be that one: nothing is sent any more. */
  #dead: TpmError | null = null;

  constructor(transport: TpmTransport, options: QueueOptions = {}) {
    this.#transport = transport;
    this.#timing = options.timing ?? QUEUE_TIMING;
    this.#onEvent = options.onEvent ?? (() => {});
  }

  get raw(): boolean {
    return this.#transport.raw;
  }

  /** Queues one whole command; gives the whole response, its header checked and its code 0. `name` is for messages. */
  submit(command: Buffer, name: string, deadline: DeadlineClass): Promise<Buffer> {
    const answer = this.#tail.then(() => this.#run(command, name, deadline));
    this.#tail = answer.catch(() => {});
    return answer;
  }

  async #run(command: Buffer, name: string, deadline: DeadlineClass): Promise<Buffer> {
    for (let attempt = 0; ; attempt += 1) {
      const response = await this.#exchange(command, name, deadline);
      const rc = responseCodeOf(command, response, name);
      if (rc === 0) return response;
      const wait = this.#timing.backoff[attempt];
      if (!isRetry(rc) || wait === undefined) throw new TpmResponseError(name, rc);
      this.#onEvent({ kind: 'retried', command: name, rc, attempt: attempt + 1 });
      await sleep(wait);
    }
  }

  async #exchange(command: Buffer, name: string, deadline: DeadlineClass): Promise<Buffer> {
    if (this.#dead !== null) throw this.#dead;
    const limit = this.#timing.deadlines[deadline];
    const answer = this.#transport.transmit(command);
    try {
      const inTime = await within(answer, limit);
      if (inTime !== null) return inTime;
      this.#onEvent({ kind: 'late', command: name, afterMs: limit });
      const grace = Math.max(limit, this.#timing.grace);
      const late = await within(answer, grace);
      if (late === null) {
        throw new TpmError('TPM_TIMEOUT', `${name}: no answer within ${(limit + grace) / 1000} s`);
      }
      this.#onEvent({ kind: 'answered', command: name, afterMs: limit });
      return late;
    } catch (error) {
      this.#dead =
        error instanceof TpmError ? error : new TpmError('TPM_UNAVAILABLE', `${name} failed`, { cause: error });
      throw this.#dead;
    }
  }

  /** Waits for what is queued, unless the TPM is silent, and closes the transport. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    this.#dead ??= new TpmError('TPM_UNAVAILABLE', 'the connection to the TPM is closed');
    await this.#transport.close();
  }
}

/** The answer, or null when it did not come within `ms`. The timer never outlives the answer. */
function within(answer: Promise<Buffer>, ms: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      resolve(null);
    }, ms);
    answer.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}
