// What a benchmark is: a name for `--only`, and a run that gives its figures.
import type { Figure } from './interleave.ts';

export interface BenchOptions {
  /** Fewer and smaller rounds: to see that it works, not to judge by. */
  readonly quick: boolean;
  /** Rounds of each interleaved pair. */
  readonly rounds: number;
  /** An empty folder that is removed afterwards. */
  readonly dir: string;
}

export interface Bench {
  readonly name: string;
  run(options: BenchOptions): Promise<Figure[]>;
}
