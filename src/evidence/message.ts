// One way in and out for every CBOR message: bounded bytes, critical fields, then the declared shape.
import { decodeCbor, encodeCbor } from '../bytes/cbor.ts';
import type { CborValue } from '../bytes/cbor.ts';
import { quickly } from '../bytes/quick-cbor.ts';
import type { QuickCbor } from '../bytes/quick-cbor.ts';
import { parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { WireError } from '../errors.ts';

/** The names a shape declares; a message that calls any other name critical is refused. */
export function fieldsOf(shape: Shape<unknown>): readonly string[] {
  const { entries } = shape as Shape<unknown> & { entries?: Readonly<Record<string, unknown>> };
  if (entries === undefined) throw new TypeError('a message shape is an object shape');
  return Object.keys(entries);
}

const critical = v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(16));

/**
 * Refuses a value whose `crit` names a field that `known` does not: its sender says that ignoring it would be wrong.
 * Other unknown fields are ignored by the shape. Errors: WireError.
 */
export function assertCritical(value: unknown, known: readonly string[], name: string): void {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'crit')) return;
  const names = parseShape(critical, (value as { crit: unknown }).crit, `${name}.crit`);
  const unknown = names.filter((field) => !known.includes(field));
  if (unknown.length === 0) return;
  const message = `critical fields that this version does not know: ${unknown.map((field) => JSON.stringify(field)).join(', ')}`;
  throw new WireError('WIRE_MALFORMED', message, { field: `${name}.crit`, offset: 0 });
}

/** What a message is: its declared shape, and where it comes often a reader of its usual form, which reads the same of it. */
export interface MessageForm<T> {
  readonly name: string;
  readonly shape: Shape<T>;
  readonly quick?: (from: QuickCbor) => T;
}

/** Decodes one message. Errors: WireError, whatever the bytes are. */
export function decodeMessage<T>({ name, shape, quick }: MessageForm<T>, bytes: Uint8Array): T {
  const read = quick === undefined ? undefined : quickly(bytes, quick);
  if (read !== undefined) return read;
  const value = decodeCbor(bytes);
  assertCritical(value, fieldsOf(shape), name);
  return parseShape(shape, value, name);
}

/** Encodes one message deterministically. A value that nobody could read again is a bug: TypeError. */
export function encodeMessage<T>(form: MessageForm<T>, value: T): Buffer {
  try {
    const bytes = encodeCbor(value as CborValue);
    decodeMessage(form, bytes);
    return bytes;
  } catch (cause) {
    throw new TypeError(`${form.name} does not have its declared shape`, { cause });
  }
}
