// Holds decoded CBOR or JSON against a rule of the grammar and says where they part.
import { decode } from 'cborg';
import { ruleOf } from './cddl.ts';
import type { Cddl, CddlItem, Grammar } from './cddl.ts';

/** CBOR with any keys, maps as Map: the event log has integer keys, which the product's own decoder refuses. */
export function decodeAnyCbor(bytes: Uint8Array): unknown {
  return decode(bytes, { useMaps: true, strict: true });
}

function fieldsOf(value: unknown): Map<unknown, unknown> | undefined {
  if (value instanceof Map) return value;
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return plain ? new Map(Object.entries(value)) : undefined;
}

function mapFaults(grammar: Grammar, type: Extract<Cddl, { is: 'map' }>, value: unknown, at: string): string[] {
  const found = fieldsOf(value);
  if (found === undefined) return [`${at}: no map`];
  const faults = type.fields.flatMap(({ key, optional, type: field }) => {
    if (!found.has(key)) return optional ? [] : [`${at}.${key}: missing`];
    return faultsOf(grammar, field, found.get(key), `${at}.${key}`);
  });
  if (type.open) return faults;
  const known = new Set<unknown>(type.fields.map(({ key }) => key));
  return [
    ...faults,
    ...[...found.keys()].filter((key) => !known.has(key)).map((key) => `${at}.${String(key)}: surplus`),
  ];
}

function arrayFaults(grammar: Grammar, items: readonly CddlItem[], value: unknown, at: string): string[] {
  if (!Array.isArray(value)) return [`${at}: no array`];
  const faults: string[] = [];
  let next = 0;
  for (const { min, max, type } of items) {
    let count = 0;
    for (; count < max && next < value.length; count++, next++) {
      faults.push(...faultsOf(grammar, type, value[next], `${at}[${next}]`));
    }
    if (count < min) faults.push(`${at}: fewer than ${min}`);
  }
  return next < value.length ? [...faults, `${at}: ${value.length - next} too many`] : faults;
}

const lengthOf = (value: unknown): number =>
  value instanceof Uint8Array ? value.length : Buffer.byteLength(String(value), 'utf8');

/** CBOR major type 0; beyond 2^53 it is a bigint. */
function isUint(value: unknown): boolean {
  if (typeof value === 'bigint') return value >= 0n && value < 2n ** 64n;
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Everything in which `value` is not of `type`. */
export function faultsOf(grammar: Grammar, type: Cddl, value: unknown, at = ''): string[] {
  const fault = (fits: boolean, what: string): string[] => (fits ? [] : [`${at}: ${what}`]);
  switch (type.is) {
    case 'any':
      return [];
    case 'null':
      return fault(value === null, 'not null');
    case 'bool':
      return fault(typeof value === 'boolean', 'no boolean');
    case 'bstr':
      return fault(value instanceof Uint8Array, 'no bytes');
    case 'uint':
      return fault(isUint(value), 'no unsigned integer');
    case 'tstr':
      return fault(typeof value === 'string', 'no text');
    case 'literal':
      return fault(value === type.value, `not ${type.value}`);
    case 'range':
      return fault(Number.isInteger(value) && Number(value) >= type.from && Number(value) <= type.to, 'out of range');
    case 'regexp':
      return fault(typeof value === 'string' && new RegExp(`^(?:${type.pattern})$`, 'u').test(value), type.pattern);
    case 'size': {
      const faults = faultsOf(grammar, type.of, value, at);
      const length = lengthOf(value);
      return faults.length > 0 ? faults : fault(length >= type.from && length <= type.to, `length ${length}`);
    }
    case 'cbor': {
      const faults = faultsOf(grammar, type.of, value, at);
      return value instanceof Uint8Array && faults.length === 0
        ? faultsOf(grammar, type.inner, decodeAnyCbor(value), `${at}<cbor>`)
        : faults;
    }
    case 'choice': {
      const all = type.options.map((option) => faultsOf(grammar, option, value, at));
      return all.toSorted((a, b) => a.length - b.length)[0] ?? [];
    }
    case 'array':
      return arrayFaults(grammar, type.items, value, at);
    case 'map':
      return mapFaults(grammar, type, value, at);
    case 'rule':
      return faultsOf(grammar, ruleOf(grammar, type.name), value, at);
    default:
      throw new TypeError('a type that this check does not know');
  }
}
