// From `unknown` to a declared type: the one border where decoded CBOR and JSON are checked, all faults named at once.
import * as v from 'valibot';
import { TouchstoneError, WireError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

export { v };

/** A schema whose result is `T`; declared explicitly so that the interface stays the documentation. */
export type Shape<T> = v.GenericSchema<unknown, T>;

/** Bytes of exactly `length`, or of 0 to `max`. */
export function byteString(length: number | { readonly max: number }): Shape<Uint8Array> {
  const exact = typeof length === 'number';
  const limit = exact ? length : length.max;
  return v.pipe(
    v.instance(Uint8Array),
    v.check(
      (value) => (exact ? value.length === limit : value.length <= limit),
      (issue) => `${issue.input.length} bytes, must be ${exact ? '' : 'at most '}${limit}`,
    ),
  );
}

/** An integer 0 ≤ n ≤ `max` (2^53 − 1 by default). */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(max));
}

/** Text of 1 to `max` UTF-16 units without control characters, so that it may be shown and logged. */
export function text(max: number): Shape<string> {
  return v.pipe(
    v.string(),
    v.minLength(1),
    v.maxLength(max),
    v.regex(/^[^\p{Cc}\p{Cs}]*$/u, 'control characters and lone surrogates are not allowed'),
  );
}

/** Lower-case hex of `bytes` bytes. */
export function hexString(bytes: number): Shape<string> {
  return v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `must be ${bytes * 2} lower-case hex digits`),
  );
}

/** A slot, role, class or profile name: used in topics, paths and unit names, so one small alphabet for all. */
export const name: Shape<string> = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a name is a-z, 0-9 and -, at most 63'),
);

function faults(issues: readonly v.BaseIssue<unknown>[]): string {
  return issues
    .slice(0, 8)
    .map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`)
    .join('; ');
}

/** `value` as a `T`, or a WireError that names every bad field. For what arrives from outside. */
export function parseShape<T>(shape: Shape<T>, value: unknown, subject: string): T {
  const result = v.safeParse(shape, value);
  if (result.success) return result.output;
  const first = result.issues[0];
  const field = `${subject}.${v.getDotPath(first) ?? ''}`;
  throw new WireError('WIRE_MALFORMED', faults(result.issues), { field, offset: 0 });
}

/** The same for a file that a person wrote: an error with `code` that says which file and which fields. */
export function parseFile<T>(shape: Shape<T>, value: unknown, file: string, code: ErrorCode): T {
  const result = v.safeParse(shape, value);
  if (result.success) return result.output;
  throw new TouchstoneError(code, `${file}: ${faults(result.issues)}`);
}
