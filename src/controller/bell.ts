// Rings when something about a device has changed, for whoever waits for it.

export class Bell {
  #heard = new Set<() => void>();

  ring(): void {
    const heard = this.#heard;
    this.#heard = new Set();
    for (const wake of heard) wake();
  }

  /** Resolves at the next ring, or after `ms`: other controllers ring elsewhere. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#heard.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#heard.add(wake);
      if (signal?.aborted === true) wake();
      else signal?.addEventListener('abort', wake, { once: true });
    });
  }
}
