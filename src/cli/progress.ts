// A progress bar on stderr, only where a person looks at a terminal; elsewhere it prints nothing at all.
import { cleanText, humanBytes } from './output.ts';

/** What a bar needs of stderr; tests give their own. */
export interface BarStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is being done: `hashing`. */
  readonly label: string;
  /** Bytes in all, when known. */
  readonly total?: number;
  readonly stream?: BarStream;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds on a scale that only goes forward. */
  readonly monotonic?: () => number;
}

const REDRAW_MS = 80;
const BAR_CELLS = 24;

function isShown(stream: BarStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb' && (env['CI'] ?? '') === '';
}

/** Counts bytes and draws them at most every 80 ms. `using bar = new ProgressBar(…)` wipes it at the end, also after an error. */
export class ProgressBar implements Disposable {
  readonly #stream: BarStream;
  readonly #label: string;
  readonly #shown: boolean;
  readonly #monotonic: () => number;
  readonly #started: number;
  #total: number | undefined;
  #done = 0;
  #drawn = -Infinity;

  constructor(options: ProgressOptions) {
    this.#stream = options.stream ?? process.stderr;
    this.#label = options.label;
    this.#total = options.total;
    this.#monotonic = options.monotonic ?? ((): number => performance.now());
    this.#started = this.#monotonic();
    this.#shown = isShown(this.#stream, options.env ?? process.env);
  }

  /** The total has become known. */
  setTotal(bytes: number): void {
    this.#total = bytes;
  }

  /** `bytes` more are done; `detail` (a file name) is shown beside the bar. */
  advance(bytes: number, detail = ''): void {
    this.#done += bytes;
    if (!this.#shown) return;
    const now = this.#monotonic();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#stream.write(`\r\u001B[2K${this.#line(now, cleanText(detail))}`);
  }

  #line(now: number, detail: string): string {
    const seconds = Math.max(0.001, (now - this.#started) / 1000);
    const rate = `${humanBytes(Math.round(this.#done / seconds))}/s`;
    let text = `${this.#label} ${humanBytes(this.#done)} ${rate} ${detail}`;
    if (this.#total !== undefined && this.#total > 0) {
      const share = Math.min(1, this.#done / this.#total);
      const filled = Math.round(share * BAR_CELLS);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
      const percent = `${Math.floor(share * 100)}`.padStart(3);
      text = `${this.#label} ${bar} ${percent} % ${humanBytes(this.#done)} of ${humanBytes(this.#total)} ${rate} ${detail}`;
    }
    // One column less than the terminal has, or the line would wrap and \r would not reach its start.
    return Array.from(text)
      .slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1))
      .join('');
  }

  [Symbol.dispose](): void {
    if (this.#shown && this.#drawn > -Infinity) this.#stream.write('\r\u001B[2K');
  }
}
