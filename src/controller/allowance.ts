// How much of something each device may ask for: a bucket of tokens that fills up again, so that nobody's flood starves others.

export interface Rate {
  readonly perSecond: number;
  /** As many at once after a quiet time. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Buckets kept; the longest unused one makes room, and is full when it comes back. */
const MAX_KEYS = 100_000;

export class Allowance {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes one token of `key` at `now` (ms, monotonic); false when there is none. */
  take(key: string, now: number): boolean {
    const { perSecond, burst } = this.#rate;
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    const granted = tokens >= 1;
    // Put at the end, so that the first one is the longest unused.
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: granted ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > MAX_KEYS) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return granted;
  }
}
