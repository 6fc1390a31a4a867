// What break-glass is: somebody at the device answers for a slot, for a bounded time, while no word of the controller counts.

/** A glass that is broken and whose time is not over. */
export interface OpenGlass {
  readonly leftMs: number;
  /** As the person said it. */
  readonly reason: string;
}

/** Slots under break-glass now. */
export type Glasses = ReadonlyMap<string, OpenGlass>;

/** Longest reason, in UTF-16 units. */
export const MAX_REASON = 256;

export const NO_GLASS: Glasses = new Map();
