// Makes values of a rule of the grammar, and values that break it in exactly one place: at each limit, in each field.
import { encode } from 'cborg';
import { ruleOf } from './cddl.ts';
import type { Cddl, CddlField, Grammar } from './cddl.ts';

export interface Example {
  /** Where and how it differs from the plainest value. */
  readonly what: string;
  readonly value: unknown;
}

/** A string that a pattern of the grammar accepts, of `length` where it can vary. The patterns are few, so each is known by its form. */
function textFor(pattern: string, edge: 'least' | 'most'): string {
  const counted = /^(?<before>\w*)(?<unit>\W.*)\{(?<from>\d+)(?:,(?<to>\d+))?\}$/.exec(pattern)?.groups;
  if (counted === undefined) throw new TypeError(`no example for the pattern ${pattern}`);
  const { before = '', unit = '', from = '', to = from } = counted;
  const count = Number(edge === 'least' ? from : to);
  if (unit === '\\P{Cc}' || unit === '[0-9a-f]') return before + 'a'.repeat(count);
  if (unit === '([0-9a-f]{2})') return 'a1'.repeat(count);
  if (unit === '[a-z0-9][a-z0-9-]') return `a${'b'.repeat(count)}`;
  throw new TypeError(`no example for the pattern ${pattern}`);
}

/** Texts just outside of a pattern. */
function textsAgainst(pattern: string): string[] {
  const longest = textFor(pattern, 'most');
  const shortest = textFor(pattern, 'least');
  const wrong = ['', `${longest}a`, `${shortest.slice(1)}\u0007`];
  if (pattern.includes('a-f')) wrong.push(shortest.slice(1), `${shortest.slice(1)}A`, `${shortest.slice(1)}g`);
  if (pattern.includes('a-z')) wrong.push('-a', 'A', 'a_', 'ä');
  return wrong;
}

const optionalIn = (type: Extract<Cddl, { is: 'map' }>, key: string | number): boolean =>
  type.fields.some((field) => field.key === key && field.optional);

export class Examples {
  readonly #grammar: Grammar;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  /** The plainest value: no optional field there, everything as small as it may be. */
  plain(type: Cddl): unknown {
    return this.good(type)[0]?.value;
  }

  /** Values of the type; together they reach each limit and each choice once. */
  good(type: Cddl): Example[] {
    switch (type.is) {
      case 'any':
        return [{ what: 'anything', value: 'x' }];
      case 'null':
        return [{ what: 'null', value: null }];
      case 'bool':
        return [true, false].map((value) => ({ what: `${value}`, value }));
      case 'bstr':
        return [{ what: 'bytes', value: new Uint8Array(1) }];
      case 'uint':
        return [0, Number.MAX_SAFE_INTEGER, 2n ** 53n, 2n ** 64n - 1n].map((value) => ({ what: `${value}`, value }));
      case 'tstr':
        return [{ what: 'text', value: 'YQ==' }];
      case 'literal':
        return [{ what: `${type.value}`, value: type.value }];
      case 'range':
        return [type.from, type.to].map((value) => ({ what: `${value}`, value }));
      case 'regexp':
        return (['least', 'most'] as const).map((edge) => ({ what: edge, value: textFor(type.pattern, edge) }));
      case 'size':
        return [...new Set([type.from, type.to])].map((length) => ({
          what: `length ${length}`,
          value: type.of.is === 'bstr' ? new Uint8Array(length) : 'a'.repeat(length),
        }));
      case 'cbor':
        return this.good(type.inner).map(({ what, value }) => ({ what, value: encode(value) }));
      case 'choice':
        return type.options.flatMap((option) => this.good(option));
      case 'array':
        return this.#goodArrays(type);
      case 'map':
        return [
          { what: 'the least', value: this.#mapOf(this.#plainFields(type).filter(([key]) => !optionalIn(type, key))) },
          ...this.#inOneField(type, (field) => this.good(field.type)),
        ];
      case 'rule':
        return this.good(ruleOf(this.#grammar, type.name));
      default:
        throw new TypeError('a type that has no examples');
    }
  }

  /** Values that are not of the type, each for one reason alone. Closed maps refuse surplus fields; open ones do not. */
  bad(type: Cddl): Example[] {
    const none: Example[] = [
      { what: 'undefined', value: undefined },
      { what: 'an array in an array', value: [[]] },
    ];
    const wrong = (...values: unknown[]): Example[] =>
      values.map((value) => ({ what: JSON.stringify(value)?.slice(0, 40) ?? 'undefined', value }));
    switch (type.is) {
      case 'any':
        return [];
      case 'null':
        return none;
      case 'bool':
        return [...none, ...wrong(0, 'true', null)];
      case 'bstr':
        return [...none, ...wrong('00', null)];
      case 'uint':
        return [...none, ...wrong(-1, 0.5, '0', null), { what: '2^64', value: 2n ** 64n }, { what: '-1n', value: -1n }];
      case 'tstr':
        return [...none, ...wrong(1, null, new Uint8Array(1))];
      case 'literal':
        return [...none, ...wrong(typeof type.value === 'number' ? type.value + 1 : `${type.value}x`, null, false)];
      case 'range':
        return [...none, ...wrong(type.from - 1, type.to + 1, 0.5, `${type.from}`, null, NaN)];
      case 'regexp':
        return [...none, ...wrong(...textsAgainst(type.pattern), null, 7)];
      case 'size':
        return [...none, ...this.#badSizes(type)];
      case 'cbor':
        return this.bad(type.of);
      case 'choice':
        return this.#inNoOption(type.options);
      case 'array':
        return [...wrong(null, 'x', {}), ...this.#badArrays(type)];
      case 'map':
        return [...wrong(null, 'x', []), ...this.#badMaps(type)];
      case 'rule':
        return this.bad(ruleOf(this.#grammar, type.name));
      default:
        throw new TypeError('a type that has no examples');
    }
  }

  #badSizes(type: Extract<Cddl, { is: 'size' }>): Example[] {
    const lengths = [type.to + 1, ...(type.from > 0 ? [type.from - 1] : [])];
    return lengths.map((length) => ({
      what: `length ${length}`,
      value: type.of.is === 'bstr' ? new Uint8Array(length) : 'a'.repeat(length),
    }));
  }

  /** What breaks one option, unless another option takes it. */
  #inNoOption(options: readonly Cddl[]): Example[] {
    const isNull = options.some(({ is }) => is === 'null');
    const maps = options.filter((option) => this.#resolved(option).is === 'map');
    return options
      .flatMap((option) => this.bad(option))
      .filter(({ value }) => !(isNull && value === null))
      .filter(({ value }) => maps.length < 2 || (typeof value === 'object' && value !== null));
  }

  #resolved(type: Cddl): Cddl {
    return type.is === 'rule' ? this.#resolved(ruleOf(this.#grammar, type.name)) : type;
  }

  /** A field that is not there is none. */
  #mapOf(entries: readonly (readonly [string | number, unknown])[]): unknown {
    const integers = entries.some(([key]) => typeof key === 'number');
    return integers ? new Map(entries) : Object.fromEntries(entries);
  }

  #plainFields(type: Extract<Cddl, { is: 'map' }>): (readonly [string | number, unknown])[] {
    return type.fields.map(({ key, type: field }) => [key, this.plain(field)] as const);
  }

  #inOneField(type: Extract<Cddl, { is: 'map' }>, of: (field: CddlField) => Example[]): Example[] {
    const plain = this.#plainFields(type);
    return type.fields.flatMap((field) =>
      of(field).map(({ what, value }) => ({
        what: `${field.key}: ${what}`,
        value: this.#mapOf(plain.map((entry) => (entry[0] === field.key ? [field.key, value] : entry))),
      })),
    );
  }

  #badMaps(type: Extract<Cddl, { is: 'map' }>): Example[] {
    const plain = this.#plainFields(type);
    const surplus = { what: 'a surplus field', value: this.#mapOf([...plain, ['surplus', 1]]) };
    const missing = type.fields
      .filter(({ optional }) => !optional)
      .map(({ key }) => ({ what: `no ${key}`, value: this.#mapOf(plain.filter(([other]) => other !== key)) }));
    const inFields = this.#inOneField(type, ({ type: field, optional }) =>
      this.bad(field).filter(({ value }) => !optional || value !== undefined),
    );
    return [...missing, ...inFields, ...(type.open ? [] : [surplus])];
  }

  #goodArrays({ items }: Extract<Cddl, { is: 'array' }>): Example[] {
    const [only] = items;
    if (items.length !== 1 || only === undefined) {
      return [{ what: 'a tuple', value: items.map(({ type }) => this.plain(type)) }];
    }
    const one = this.plain(only.type);
    const most = only.max === Infinity ? 2 : only.max;
    const counts = [Math.max(only.min, Math.min(1, most)), only.min, most];
    const lists = counts.map((count) => ({
      what: `${count} of them`,
      value: Array.from({ length: count }, () => one),
    }));
    return [...lists, ...this.good(only.type).map(({ what, value }) => ({ what: `[0]: ${what}`, value: [value] }))];
  }

  #badArrays({ items }: Extract<Cddl, { is: 'array' }>): Example[] {
    const [only] = items;
    if (items.length !== 1 || only === undefined) return [];
    const one = this.plain(only.type);
    const counts = [...(only.min > 0 ? [only.min - 1] : []), ...(only.max < Infinity ? [only.max + 1] : [])];
    const lists = counts.map((count) => ({
      what: `${count} of them`,
      value: Array.from({ length: count }, () => one),
    }));
    return [...lists, ...this.bad(only.type).map(({ what, value }) => ({ what: `[0]: ${what}`, value: [value] }))];
  }
}
