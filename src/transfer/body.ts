// Reads the body of an answer: not endlessly patient, not faster than allowed, never more than announced.
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import type { TransferLimits } from './limits.ts';
import { refusedAnswer, unavailable } from './web.ts';

/** Spreads bytes over time. */
export class Pace {
  readonly #clock: Clock;
  readonly #rate: number | null;
  #free = 0;

  /** `rate`: bytes a second; null: no limit. */
  constructor(clock: Clock, rate: number | null) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** Resolves when the next bytes may come. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#rate === null) return;
    const now = this.#clock.monotonic();
    this.#free = Math.max(this.#free, now) + (bytes * 1000) / this.#rate;
    if (this.#free > now) await this.#clock.sleep(this.#free - now, signal);
  }
}

export interface BodyParts {
  readonly clock: Clock;
  readonly limits: TransferLimits;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

type Next = IteratorResult<Buffer, undefined>;

/** The next piece; `late` is called when there is none in `ms`. Whatever goes wrong on the way there is the way's fault. */
async function nextWithin(
  url: URL,
  { clock, limits }: BodyParts,
  next: Promise<Next>,
  late: () => void,
): Promise<Next> {
  const came = new AbortController();
  clock.sleep(limits.idleMs, came.signal).then(late, () => undefined);
  try {
    return await next;
  } catch (error) {
    if (error instanceof ReleaseError) throw error;
    throw unavailable(url, error instanceof Error ? error.message : 'the connection failed', error);
  } finally {
    came.abort();
  }
}

/**
 * The pieces of a body of at most `max` bytes. Only time spent waiting counts against the server, not time in which nobody read.
 * Errors: ReleaseError TRANSFER_UNAVAILABLE (ended early, stalled, too slow), TRANSFER_REFUSED (too long); the signal's reason.
 */
export async function* pieces(
  url: URL,
  answer: IncomingMessage,
  max: number,
  parts: BodyParts,
): AsyncGenerator<Buffer, void> {
  const { clock, limits, pace, signal } = parts;
  const iterator: AsyncIterator<Buffer, undefined> = answer[Symbol.asyncIterator]();
  let [length, waited, inWindow] = [0, 0, 0];
  try {
    for (;;) {
      const since = clock.monotonic();
      const next = await nextWithin(url, parts, iterator.next(), () => {
        answer.destroy(unavailable(url, `nothing came for ${limits.idleMs} ms`));
      });
      waited += clock.monotonic() - since;
      if (next.done === true) break;
      length += next.value.length;
      if (length > max) throw refusedAnswer(url, `it is longer than the ${max} bytes that were announced or allowed`);
      inWindow += next.value.length;
      if (waited > limits.windowMs) {
        if (inWindow < limits.windowBytes) {
          throw unavailable(url, `only ${inWindow} bytes came in ${Math.round(waited)} ms`);
        }
        [waited, inWindow] = [0, 0];
      }
      yield next.value;
      await pace.spend(next.value.length, signal);
    }
    if (!answer.complete) throw unavailable(url, 'the connection ended early');
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    answer.destroy();
  }
}
