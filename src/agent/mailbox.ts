// One thing at a time: challenges, results, commands and changes are worked on in the order they came.
/** Work that fails is handed to `onError` and does not stop what waits behind it. */
export class Mailbox {
  readonly #onError: (error: unknown) => void;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Puts `work` behind everything that was put before; resolves when it was done, failed or (after close) dropped. */
  async put(work: () => Promise<void>): Promise<void> {
    this.#last = this.#after(this.#last, work);
    return this.#last;
  }

  async #after(before: Promise<void>, work: () => Promise<void>): Promise<void> {
    await before;
    if (this.#closed) return;
    try {
      await work();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Resolves when the work that has begun is done; what had not begun is dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}

/**
 * For who waits for what comes of `work`: `soon` has it done when nothing else is being done. What it throws is told to both. Never
 * resolves when the mailbox is closed before.
 */
export async function inTurn<T>(soon: (work: () => Promise<void>) => void, work: () => Promise<T>): Promise<T> {
  const done = Promise.withResolvers<T>();
  soon(async () => {
    try {
      done.resolve(await work());
    } catch (error) {
      done.reject(error);
      throw error;
    }
  });
  return done.promise;
}
