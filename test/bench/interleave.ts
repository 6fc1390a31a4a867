// Times a piece of work and its limit in turn, so that both see the same machine; a figure compares the two of the same run.

/** What a figure must reach: a ratio to its limit, or how far above the limit it may lie, in its own unit. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number } | { readonly atMostAbove: number };

export interface Figure {
  readonly name: string;
  /** Unit of `ours` and `limit`. */
  readonly unit: string;
  readonly ours: number;
  /** NaN where there is nothing to hold it against. */
  readonly limit: number;
  readonly limitName: string;
  readonly ratio: number;
  /** Null where the figure is only printed. */
  readonly bar: Bar | null;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Runs ours and the limit `rounds` times in turn (after one warm-up of each); medians of both, and of the ratio pair by pair. */
export async function interleave(
  rounds: number,
  ours: () => Promise<number>,
  limit: () => Promise<number>,
): Promise<{ ours: number; limit: number; ratio: number }> {
  await ours();
  await limit();
  const a: number[] = [];
  const b: number[] = [];
  const ratios: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const x = await ours();
    const y = await limit();
    a.push(x);
    b.push(y);
    ratios.push(x / y);
  }
  return { ours: median(a), limit: median(b), ratio: median(ratios) };
}

/** Null where nothing must be reached. */
export function reached({ bar, ours, limit, ratio }: Figure): boolean | null {
  if (bar === null) return null;
  if ('atLeast' in bar) return ratio >= bar.atLeast;
  return 'atMost' in bar ? ratio <= bar.atMost : ours - limit <= bar.atMostAbove;
}

/** A figure that is only printed. */
export function printed(name: string, ours: number, unit: string, note = ''): Figure {
  return { name, unit, ours, limit: Number.NaN, limitName: note, ratio: Number.NaN, bar: null };
}

/** Seconds that `work` takes. */
export async function seconds(work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}
