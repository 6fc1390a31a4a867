// The demo never says that a step was as expected when it was not.
import { describe, expect, it } from 'vitest';
import { play, verdict } from '../../src/testing/play.ts';
import type { Seen, Step } from '../../src/testing/play.ts';

const step = (title: string, result: () => Promise<Seen>): Step => ({
  title,
  command: 'x',
  expected: 'y',
  play: result,
});
const silent = { before: (): void => undefined, after: (): void => undefined };

describe('playing steps', () => {
  it('counts a step that throws as not as expected, and goes on', async () => {
    const played = await play(
      [
        step('one', async () => Promise.reject(new Error('first line\nsecond'))),
        step('two', async () => Promise.resolve({ ok: true, saw: 'y' })),
      ],
      silent,
      () => 0,
    );
    expect(played.map((one) => one.seen.ok)).toEqual([false, true]);
    expect(played[0]?.seen).toEqual({ ok: false, saw: 'first line', more: ['second'] });
    expect(verdict(played, 2)).toEqual({ ok: false, words: '1 of 2 steps as expected; not as expected: 1 (one)' });
  });

  it('ends with the plain sentence when all were as expected', async () => {
    const played = await play([step('one', async () => Promise.resolve({ ok: true, saw: 'y' }))], silent, () => 0);
    expect(verdict(played, 1)).toEqual({ ok: true, words: '1 of 1 steps as expected' });
  });

  it('ends where a step fails that all others need, and says which were not played', async () => {
    const broken: Step = { ...step('one', async () => Promise.resolve({ ok: false, saw: 'n' })), essential: true };
    const steps = [broken, step('two', async () => Promise.resolve({ ok: true, saw: 'y' }))];
    const played = await play(steps, silent, () => 0);
    expect(played).toHaveLength(1);
    expect(verdict(played, 2)).toEqual({
      ok: false,
      words: '0 of 2 steps as expected; not as expected: 1 (one), 2 to 2, which were not played',
    });
  });
});
