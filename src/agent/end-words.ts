// How a program ended, for people.
import type { Ended } from './bounded-program.ts';

export function endWords({ code, signal, timedOut, words }: Ended): string {
  const how = timedOut ? 'was killed: out of time' : signal === null ? `exit code ${code ?? '-'}` : `signal ${signal}`;
  return words === '' ? how : `${how}: ${words}`;
}
