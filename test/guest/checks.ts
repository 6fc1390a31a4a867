// Counts what a run of the guest tests showed, and prints it as it comes.

/** One list of outcomes for a whole run. */
export class Checks {
  passed = 0;
  failed = 0;

  /** An outcome found elsewhere; `failure` null: it held. */
  take(name: string, failure: string | null, ms: number): void {
    if (failure === null) this.passed += 1;
    else this.failed += 1;
    process.stdout.write(`${failure === null ? 'ok    ' : 'FAILED'} ${name} (${(ms / 1000).toFixed(1)} s)\n`);
    if (failure !== null) process.stdout.write(`${failure.replaceAll(/^/gm, '       ')}\n`);
  }

  /** Runs one check. What it gives is undefined when it failed, so that later ones may still run. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const started = performance.now();
    try {
      const value = await work();
      this.take(name, null, performance.now() - started);
      return value;
    } catch (error) {
      this.take(
        name,
        error instanceof Error ? (error.stack ?? error.message) : String(error),
        performance.now() - started,
      );
      return undefined;
    }
  }

  /** A line for the reader. */
  note(text: string): void {
    process.stdout.write(`       ${text}\n`);
  }
}
