// Plays steps one after another and judges each by what was seen.

/** What a step saw. */
export interface Seen {
  readonly ok: boolean;
  /** One line. */
  readonly saw: string;
  /** Further lines for the reader who wants to know more. */
  readonly more?: readonly string[];
  /** The rule of the catalogue that was broken, where one was. */
  readonly rule?: string;
}

export interface Step {
  /** What happens, as a sentence. */
  readonly title: string;
  /** What a user would type, or do. */
  readonly command: string;
  /** What must be seen. */
  readonly expected: string;
  /** Without it nothing after it makes sense: the play ends when it is not as expected. */
  readonly essential?: true;
  play(): Promise<Seen>;
}

export interface Played {
  readonly title: string;
  readonly command: string;
  readonly expected: string;
  readonly seen: Seen;
  readonly ms: number;
}

/** Runs the steps in order; one that throws was not as expected. `told` hears of each before and after. */
export async function play(
  steps: readonly Step[],
  told: { before(step: Step, number: number): void; after(played: Played, number: number): void },
  monotonic: () => number,
): Promise<Played[]> {
  const all: Played[] = [];
  for (const [index, step] of steps.entries()) {
    told.before(step, index + 1);
    const start = monotonic();
    const seen = await step.play().catch((error: unknown): Seen => {
      const [first = '', ...more] = (error instanceof Error ? error.message : String(error)).split('\n');
      return { ok: false, saw: first, more };
    });
    const { title, command, expected } = step;
    const played = { title, command, expected, seen, ms: monotonic() - start };
    all.push(played);
    told.after(played, index + 1);
    if (step.essential === true && !seen.ok) break;
  }
  return all;
}

/** `12 of 12 steps as expected`, or which were not. */
export function verdict(played: readonly Played[], steps: number): { ok: boolean; words: string } {
  const wrong = played.flatMap((one, index) => (one.seen.ok ? [] : [`${index + 1} (${one.title})`]));
  if (played.length < steps) wrong.push(`${played.length + 1} to ${steps}, which were not played`);
  const words = `${played.filter((one) => one.seen.ok).length} of ${steps} steps as expected`;
  return {
    ok: wrong.length === 0,
    words: wrong.length === 0 ? words : `${words}; not as expected: ${wrong.join(', ')}`,
  };
}
