// DSSE: a threshold counts keys, not signatures; the key id is a hint; what was signed is the exact bytes and the type.
import { describe, expect, test } from 'vitest';
import { toBase64 } from '../../src/bytes/text.ts';
import { pae, parseDsse, signDsse, verifyDsse } from '../../src/crypto/dsse.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { generateKey, keyId } from '../../src/crypto/ecdsa.ts';
import { WireError } from '../../src/errors.ts';

const TYPE = 'application/vnd.test+json';
const payload = Buffer.from('{"v":1}');
const keys = [generateKey('p256'), generateKey('p384'), generateKey('p521')].map(({ privateKey }) => privateKey);
const [first, second, third] = keys as [(typeof keys)[0] & {}, (typeof keys)[0] & {}, (typeof keys)[0] & {}];
const trusted = new Map(keys.map((key) => [keyId(key), key]));
const signed = signDsse(TYPE, payload, [first, second]);
const parse = (envelope: unknown): DsseEnvelope => parseDsse(Buffer.from(JSON.stringify(envelope)));

// The example of the specification, https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
test('the pre-authentication encoding is that of the specification', () => {
  const encoded = pae('http://example.com/HelloWorld', Buffer.from('hello world'));
  expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  expect(pae('ü', Buffer.alloc(0)).toString()).toBe('DSSEv1 2 ü 0 ');
});

describe('an envelope', () => {
  test('opens by keys on all curves, and says whose signatures are valid', () => {
    const opened = verifyDsse(parse(signDsse(TYPE, payload, keys)), TYPE, trusted, 3);
    expect(opened).toEqual({ payload, signedBy: keys.map(keyId) });
  });

  test('opens at its threshold and not above', () => {
    expect(verifyDsse(signed, TYPE, trusted, 2)?.signedBy).toHaveLength(2);
    expect(verifyDsse(signed, TYPE, trusted, 3)).toBeNull();
  });

  test('with several signatures of one key counts that key once', () => {
    const twice = signDsse(TYPE, payload, [first, first, first]);
    expect(verifyDsse(twice, TYPE, trusted, 2)).toBeNull();
    expect(verifyDsse(twice, TYPE, trusted, 1)?.signedBy).toEqual([keyId(first)]);
  });

  test('with the same signature under the names of other keys counts one', () => {
    const [one] = signed.signatures;
    const renamed = { ...signed, signatures: keys.map((key) => ({ sig: one?.sig ?? '', keyid: keyId(key) })) };
    expect(verifyDsse(renamed, TYPE, trusted, 2)).toBeNull();
  });

  test.each([null, undefined, 'wrong', ''])('opens whatever its key id says: %j', (keyid) => {
    const envelope = { ...signed, signatures: signed.signatures.map(({ sig }) => ({ sig, keyid })) };
    expect(verifyDsse(parse(envelope), TYPE, trusted, 2)?.payload).toEqual(payload);
  });

  test('for another type does not open', () => {
    expect(verifyDsse({ ...signed, payloadType: 'other' }, 'other', trusted)).toBeNull();
    expect(verifyDsse(signed, 'other', trusted)).toBeNull();
  });

  test('with another payload does not open', () => {
    expect(verifyDsse({ ...signed, payload: toBase64(Buffer.from('{"v":2}')) }, TYPE, trusted)).toBeNull();
  });

  test('by a key that is not trusted does not open', () => {
    expect(verifyDsse(signed, TYPE, new Map([[keyId(third), third]]))).toBeNull();
    expect(verifyDsse(signed, TYPE, new Map())).toBeNull();
  });

  test('with a broken signature beside a good one opens by the good one', () => {
    const broken = { ...signed, signatures: [{ sig: toBase64(Buffer.from('broken')) }, ...signed.signatures] };
    expect(verifyDsse(broken, TYPE, trusted)?.signedBy).toHaveLength(2);
  });

  test.each<[string, object]>([
    ['payload', { payload: 'YQ' }],
    ['signature', { signatures: [{ sig: 'YQ' }] }],
  ])('whose %s has another spelling in base64 is malformed', (_, change) => {
    expect(() => verifyDsse({ ...signed, ...change }, TYPE, trusted)).toThrow(WireError);
  });

  test('below a threshold of 1 would be trusted by everybody: a bug', () => {
    expect(() => verifyDsse(signed, TYPE, trusted, 0)).toThrow(RangeError);
  });

  test.each<[string, unknown]>([
    ['no signature', { ...signed, signatures: [] }],
    ['17 signatures', { ...signed, signatures: Array.from({ length: 17 }, () => ({ sig: '' })) }],
    ['a payload that is no text', { ...signed, payload: 1 }],
    ['no type', { ...signed, payloadType: '' }],
    ['a signature that is no text', { ...signed, signatures: [{ sig: null }] }],
    ['nothing', null],
  ])('with %s is malformed', (_, envelope) => {
    expect(() => parse(envelope)).toThrow(WireError);
  });

  test('larger or deeper than allowed is malformed', () => {
    expect(() => parseDsse(Buffer.from(JSON.stringify(signed)), 10)).toThrow(/at most 10/);
    expect(() => parseDsse(Buffer.from('['.repeat(9)))).toThrow(/deeper than 8/);
  });
});
