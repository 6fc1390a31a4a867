// Values of options as people type them: numbers, dates, lists; a bad one is wrong usage and says what would be right.
import { InvalidArgumentError, Option } from 'commander';

/** Where the agent of this device keeps its state. */
export function agentStateOption(): Option {
  return new Option('--state <dir>', 'state directory of the agent')
    .env('TOUCHSTONE_STATE')
    .default('/var/lib/touchstone');
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** For options that may be given several times. */
export function each(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** ms since 1970 of `2027-03-31` (its first or last millisecond, UTC) or of an RFC 3339 time. */
export function moment(dayMeans: 'start' | 'end'): (text: string) => number {
  return (text) => {
    const isDate = DATE.test(text);
    const clock = dayMeans === 'start' ? '00:00:00.000' : '23:59:59.999';
    const value = isDate || TIME.test(text) ? Date.parse(isDate ? `${text}T${clock}Z` : text) : Number.NaN;
    // Date.parse takes the 31st of February for the 3rd of March.
    const real = !isDate || (Number.isFinite(value) && new Date(value).toISOString().startsWith(text));
    if (Number.isFinite(value) && value >= 0 && real) return value;
    throw new InvalidArgumentError('It must be a day (2027-03-31, UTC) or a time (2027-03-31T12:00:00Z).');
  };
}
