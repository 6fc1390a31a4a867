// touchstone.cddl and the code say the same: what the grammar allows is read whole, what it forbids is refused.
import { describe, expect, test } from 'vitest';
import { LogEvent } from '../../src/cel/events.ts';
import type { Shape } from '../../src/bytes/shape.ts';
import { v } from '../../src/bytes/shape.ts';
import { dsseShape } from '../../src/crypto/dsse.ts';
import { claimsShape } from '../../src/evidence/claims.ts';
import {
  certificateMessageShape,
  challengeShape,
  enrolCredentialShape,
  enrolOutcomeShape,
  enrolProofShape,
  enrolRequestShape,
  evidenceShape,
  logPartShape,
  statusHintShape,
} from '../../src/protocol/messages.ts';
import { STATEMENT_SHAPES } from '../../src/protocol/statement.ts';
import { batchShape } from '../../src/release/batch.ts';
import { passportShape, rootStatementShape } from '../../src/release/types.ts';
import { recordFileShape } from '../../src/verifier/record.ts';
import { acceptanceShape } from '../../src/verifier/record-shape.ts';
import { readGrammar, ruleOf } from '../support/cddl.ts';
import type { Cddl } from '../support/cddl.ts';
import { faultsOf } from '../support/cddl-check.ts';
import { Examples } from '../support/cddl-examples.ts';
import type { Example } from '../support/cddl-examples.ts';
import { textOf } from '../house/tree.ts';

const grammar = readGrammar(textOf('src/protocol/touchstone.cddl'));
const examples = new Examples(grammar);

const SHAPES: Readonly<Record<string, Shape<unknown>>> = {
  challenge: challengeShape,
  evidence: evidenceShape,
  'log-part': logPartShape,
  claims: claimsShape,
  'enrol-request': enrolRequestShape,
  'enrol-credential': enrolCredentialShape,
  'enrol-proof': enrolProofShape,
  'enrol-outcome': enrolOutcomeShape,
  'certificate-message': certificateMessageShape,
  'status-hint': statusHintShape,
  event: LogEvent,
  'dsse-envelope': dsseShape,
  result: STATEMENT_SHAPES.result,
  command: STATEMENT_SHAPES.command,
  instruction: STATEMENT_SHAPES.instruction,
  endorsement: STATEMENT_SHAPES.endorsement,
  root: rootStatementShape,
  passport: passportShape,
  'ek-batch': batchShape,
  record: recordFileShape,
  acceptance: acceptanceShape,
};

/** Named in the grammar, and held to the code by golden vectors instead of by a shape. */
const BY_VECTOR = [
  'message',
  'evidence-binding',
  'floor-binding',
  'enrol-binding',
  'log',
  'cel-record',
  'passport-statement',
];

/** Allowed by the grammar, refused by a rule between two fields that its comments give. */
const BETWEEN_FIELDS: ReadonlySet<string> = new Set(['root root: threshold: 16']);

/** Names of all rules that `type` refers to. */
function named(type: Cddl): string[] {
  if (type.is === 'rule') return [type.name, ...named(ruleOf(grammar, type.name))];
  if (type.is === 'choice') return type.options.flatMap(named);
  if (type.is === 'array') return type.items.flatMap((item) => named(item.type));
  if (type.is === 'map') return type.fields.flatMap((field) => named(field.type));
  if (type.is === 'cbor') return [...named(type.of), ...named(type.inner)];
  return type.is === 'size' ? named(type.of) : [];
}

test('every rule of the grammar is one of these, or part of one', () => {
  const roots = [...Object.keys(SHAPES), ...BY_VECTOR];
  const reached = new Set([...roots, ...roots.flatMap((root) => named(ruleOf(grammar, root)))]);
  expect([...grammar.keys()].filter((name) => !reached.has(name))).toEqual([]);
});

/** Paths of all map keys of a rule, `?` where a key may be left out. */
function keysOfRule(type: Cddl, at = ''): string[] {
  if (type.is === 'rule') return keysOfRule(ruleOf(grammar, type.name), at);
  if (type.is === 'choice') return type.options.flatMap((option) => keysOfRule(option, at));
  if (type.is === 'array') return type.items.flatMap((item) => keysOfRule(item.type, `${at}[]`));
  if (type.is !== 'map') return [];
  return type.fields.flatMap(({ key, optional, type: field }) => {
    const path = `${at}.${key}`;
    return [path + (optional ? '?' : ''), ...keysOfRule(field, path)];
  });
}

/** The parts of a schema that lead to its keys. */
interface SchemaParts {
  readonly type: string;
  readonly entries?: Readonly<Record<string, SchemaParts>>;
  readonly options?: readonly SchemaParts[];
  readonly item?: SchemaParts;
  readonly wrapped?: SchemaParts;
}

function keysOfShape(shape: SchemaParts, at = ''): string[] {
  if (shape.wrapped !== undefined) return keysOfShape(shape.wrapped, at);
  if (shape.item !== undefined) return keysOfShape(shape.item, `${at}[]`);
  // A picklist has options too: of text.
  if (shape.type === 'variant' || shape.type === 'union')
    return (shape.options ?? []).flatMap((one) => keysOfShape(one, at));
  return Object.entries(shape.entries ?? {}).flatMap(([key, field]) => {
    const optional = ['exact_optional', 'optional', 'nullish'].includes(field.type);
    return [`${at}.${key}${optional ? '?' : ''}`, ...keysOfShape(field, `${at}.${key}`)];
  });
}

/** What the code reads of a value; its faults when it refuses it. */
function readingOf(shape: Shape<unknown>, value: unknown): { readonly read: unknown } | { readonly faults: string } {
  const result = v.safeParse(shape, value);
  if (result.success) return { read: result.output };
  return { faults: result.issues.map((issue) => `${v.getDotPath(issue) ?? ''}: ${issue.message}`).join('; ') };
}

describe.each(Object.entries(SHAPES))('%s', (name, shape) => {
  const rule = ruleOf(grammar, name);
  const good = examples.good(rule);
  const bad = examples.bad(rule);
  const refused = ({ what }: Example): boolean => BETWEEN_FIELDS.has(`${name} ${what}`);

  test('has examples that the grammar takes and counterexamples that it refuses', () => {
    expect(good.flatMap(({ what, value }) => faultsOf(grammar, rule, value).map((fault) => what + fault))).toEqual([]);
    expect(bad.filter(({ value }) => faultsOf(grammar, rule, value).length === 0)).toEqual([]);
    expect(bad.length).toBeGreaterThan(10);
  });

  test('has the same keys here and there, and may leave out the same', () => {
    const here = new Set(keysOfShape(shape));
    expect(here.size).toBeGreaterThan(2);
    expect(here).toEqual(new Set(keysOfRule(rule)));
  });

  test('is read whole, up to every limit, where the grammar allows it', () => {
    // A field that the code does not know would be gone.
    const allowed = good.filter((example) => !refused(example));
    expect(allowed.map(({ what, value }) => ({ what, ...readingOf(shape, value) }))).toEqual(
      allowed.map(({ what, value }) => ({ what, read: value })),
    );
  });

  test('is refused where the grammar forbids it', () => {
    const wrong = [...bad, ...good.filter(refused)];
    expect(wrong.filter(({ value }) => !('faults' in readingOf(shape, value)))).toEqual([]);
  });
});

test('a rule between two fields refuses what the grammar alone would allow', () => {
  const all = new Set(
    Object.keys(SHAPES).flatMap((name) => examples.good(ruleOf(grammar, name)).map(({ what }) => `${name} ${what}`)),
  );
  expect([...BETWEEN_FIELDS].filter((one) => !all.has(one))).toEqual([]);
});

describe('the check of the grammar', () => {
  test.each<[string, string, unknown]>([
    ['a missing field', 'a = { b: tstr }', {}],
    ['a surplus field of a closed map', 'a = { b: tstr }', { b: '', c: 1 }],
    ['an array that is too short', 'a = [ 2*3 tstr ]', ['x']],
    ['an array that is too long', 'a = [ 2*3 tstr ]', ['x', 'x', 'x', 'x']],
    ['a wrong embedded item', 'a = bstr .cbor tstr', Buffer.from([0x01])],
    ['text beyond its size', 'a = tstr .size (0..2)', 'abc'],
  ])('sees %s', (_, source, value) => {
    const planted = readGrammar(source);
    expect(faultsOf(planted, ruleOf(planted, 'a'), value)).toHaveLength(1);
  });

  test.each(['a = { b: uint .le 5 }', 'a = tstr\na = bstr', 'a = #6.1(tstr)'])(
    'refuses a grammar it cannot read: %s',
    (source) => {
      expect(() => readGrammar(source)).toThrow(SyntaxError);
    },
  );
});
