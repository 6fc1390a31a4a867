// Statements of the controller: they count by the right key for the right purpose, whole, and in a version that is understood.
import { describe, expect, test } from 'vitest';
import { toUtf8 } from '../../src/bytes/text.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import { generateKey, keyId } from '../../src/crypto/ecdsa.ts';
import { openStatement, payloadType, signStatement } from '../../src/protocol/statement.ts';
import type { StatementKind, Statements } from '../../src/protocol/statement.ts';
import { signedVector } from '../vectors/vectors.ts';

const key = generateKey('p256').privateKey;
const keys = new Map([[keyId(key), key]]);
const kinds: readonly StatementKind[] = ['result', 'command', 'instruction', 'endorsement'];
const NAMES: Readonly<Record<StatementKind, string>> = {
  result: 'result',
  command: 'command-install',
  instruction: 'instruction',
  endorsement: 'endorsement',
};

/** Anything at all, truly signed as a statement of this kind. */
const signedAs = (kind: StatementKind, payload: string): Buffer =>
  Buffer.from(JSON.stringify(signDsse(payloadType(kind), toUtf8(payload), [key])));

describe.each(kinds)('%s', (kind) => {
  const value = signedVector(NAMES[kind]).value as Statements[typeof kind] & object;
  const open = (payload: object): unknown => openStatement(kind, signedAs(kind, JSON.stringify(payload)), keys);

  test('opens to what was signed', () => {
    expect(openStatement(kind, Buffer.from(signStatement(kind, value, key)), keys)).toEqual(value);
  });

  test('by a key that may not say it is nothing', () => {
    const other = generateKey('p256').privateKey;
    expect(openStatement(kind, Buffer.from(signStatement(kind, value, other)), keys)).toBeNull();
    expect(openStatement(kind, Buffer.from(signStatement(kind, value, key)), new Map())).toBeNull();
  });

  test('signed for another purpose is nothing', () => {
    for (const other of kinds.filter((one) => one !== kind)) {
      expect(openStatement(kind, signedAs(other, JSON.stringify(value)), keys)).toBeNull();
    }
  });

  test('of another version, or with an unknown critical field, is nothing', () => {
    expect(open({ ...value, v: 2 })).toBeNull();
    expect(open({ ...value, crit: ['tomorrow'], tomorrow: 1 })).toBeNull();
    expect(open({ ...value, crit: 'tomorrow' })).toBeNull();
  });

  test('with an unknown field that is not critical is read without it', () => {
    expect(open({ ...value, tomorrow: 1 })).toEqual(value);
    expect(open({ ...value, crit: ['deviceId'] })).toEqual(value);
  });

  test.each(['', '[]', 'null', '{"v":1', '{"v":1,"v":1}', '"\\ud800"'])('whose payload is %s is nothing', (payload) => {
    expect(openStatement(kind, signedAs(kind, payload), keys)).toBeNull();
  });

  test.each(['', '{}', '{"payload":"","payloadType":"x","signatures":[]}', '{"payload":"*"}', '\u{ff}'])(
    'in the envelope %s is nothing',
    (envelope) => {
      expect(openStatement(kind, Buffer.from(envelope, 'latin1'), keys)).toBeNull();
    },
  );

  test('larger than a statement may be is nothing', () => {
    expect(open({ ...value, tomorrow: 'x'.repeat(256 * 1024) })).toBeNull();
  });

  test('that changed by one bit anywhere is nothing, or what was signed', () => {
    const envelope = Buffer.from(signStatement(kind, value, key));
    const changed = Array.from({ length: envelope.length }, (_, at) => {
      const bytes = Buffer.from(envelope);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return openStatement(kind, bytes, keys);
    });
    expect(
      changed.filter((read) => read !== null).every((read) => JSON.stringify(read) === JSON.stringify(value)),
    ).toBe(true);
    // The key id alone is a hint.
    expect(changed.filter((read) => read !== null).length).toBeLessThan(100);
  });
});

test('a command with a field that we do not know in its body is nothing: who sends it means something by it', () => {
  const command = signedVector('command-measure').value as Statements['command'];
  const more = { ...command, body: { ...command.body, gently: true } };
  expect(openStatement('command', signedAs('command', JSON.stringify(more)), keys)).toBeNull();
});

test('a bug of the caller is no refusal', () => {
  const envelope = signedAs('result', '{}');
  expect(() => openStatement('result', envelope, new Map([['x', null as never]]))).toThrow(TypeError);
});
