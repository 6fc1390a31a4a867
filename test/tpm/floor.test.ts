// Floor tokens without a TPM: what is signed never changes, what is not signed is seen, files say what tokens say.
import { createPublicKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireError } from '../../src/errors.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { allFloorBytes, defineFloors, floorOffset, readFloorBytes } from '../../src/tpm/floor/definition.ts';
import {
  approvedPolicy,
  floorToken,
  floorWriteCpHash,
  isSigned,
  lowestBefore,
  raiseConditions,
  type FirstWriteOrder,
  type FloorOrder,
  type RaiseOrder,
} from '../../src/tpm/floor/token.ts';
import { decodeFloorToken, encodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { TPM_EO } from '../../src/tpm/wire/constants.ts';
import { fleet, floorKey, raiseTo, signed, ZEROS } from '../support/floor-bench.ts';

/** The example keys of RFC 7515 A.3 and RFC 7517 A.1. */
const publicKey = (x: string, y: string): KeyObject =>
  createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
const floor = publicKey('f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0');
const root = publicKey('MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4', '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM');

const raise: RaiseOrder = { kind: 'raise', slot: 2, to: 7n, maxStep: 4n };
const firstWrite: FirstWriteOrder = {
  kind: 'first-write',
  values: [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n],
  generation: 9n,
  akName: Buffer.alloc(34, 1),
};

describe('devices in the field know', () => {
  test.each([
    [
      'the floor’s key alone',
      null,
      {
        policy: '4b163422f4f9fe694047e0b9873a34c4b5f5bdb30ae11be58678bff881b5e0a6',
        unwritten: '000bc56afd4987fa84d9791428fec50ab4dd346cbef631ca4e58d28b1da32d0fb18f',
        written: '000b349852636cf2d327a76115dd532ed6a748e407edc1473c697dae6445884b4296',
        raiseCpHash: '72cd579cfe265806d90be4789667cff0301d72c2afe2e4705ef222351ef0c56a',
        raise: '42f7c0aefe38e267a0d90e2e72b81e9a56d9315e82eefdb67132f6c371776af1',
        firstWriteCpHash: 'fdc54a01e250a43113154b98735216776051d350c600b6ebabad165b1c440e5f',
        firstWrite: 'dc13ac657bc8520e080060bf78578552e421890dbf2b695c8bd68067611c5d16',
      },
    ],
    [
      'the floor’s key and the root’s',
      root,
      {
        policy: 'c7c4ea1b67276262bbcecc4f57a5a354d17462523909c52ef6cd9fa2e8adc961',
        unwritten: '000b7bec6f498f4364bb96d9061a87919befb0da2fe3ce88d344e193133c8ef0c772',
        written: '000b7ab97b5adc8ed5793c206ed773340ad79228e973bbc731ab1ce3d38de1db3b58',
        raiseCpHash: 'a723519de4758ede20bd9255785df0d3a223d674fd55f415924aecb371d23e6c',
        raise: '6f0427979b651c995a57ec384f9b8c3cdf2d12c9bbf3e3791fe976db73d3d77d',
        firstWriteCpHash: '06d8dac401ab7cd901dd31a1d2d2ac2b0e238c0c595e3507c36edc51366b512d',
        firstWrite: '19833462c5de90a061ca38aa774622f32abd4207aa4663aaa8ffc16301da1705',
      },
    ],
  ])('the same Names and policies for ever, by %s', (_, rootKey, vector) => {
    const definition = defineFloors({ floor, root: rootKey });
    const hex = (bytes: Buffer): string => bytes.toString('hex');
    expect({
      policy: hex(definition.floors.publicArea.authPolicy),
      unwritten: hex(definition.floors.unwritten),
      written: hex(definition.floors.written),
      raiseCpHash: hex(floorWriteCpHash(definition, raise)),
      raise: hex(approvedPolicy(definition, raise)),
      firstWriteCpHash: hex(floorWriteCpHash(definition, firstWrite)),
      firstWrite: hex(approvedPolicy(definition, firstWrite)),
    }).toEqual(vector);
    expect(hex(definition.generation.written)).toBe(
      '000bfdefa1fd54a01e1644abcfa4c1ada56fc3c9e4bea518abdffc5e08916b15d021',
    );
  });

  test('an index of 64 bytes that is written by policy only and readable by all', () => {
    const { attributes, dataSize } = fleet.floors.publicArea;
    expect(attributes).toBe(0x02060008);
    expect(dataSize).toBe(64);
  });
});

describe('a token', () => {
  test('to raise asks for less than its floor, and no less than a step below', () => {
    const operands = raiseConditions(raise).map(({ operation, offset, operand }) => [
      operation,
      offset,
      operand.readBigUInt64BE(),
    ]);
    expect(operands).toEqual([
      [TPM_EO.UNSIGNED_LT, 16, 7n],
      [TPM_EO.UNSIGNED_GE, 16, 3n],
    ]);
    expect(lowestBefore({ to: 3n, maxStep: 4n })).toBe(0n);
    expect(lowestBefore({ to: 2n ** 64n - 1n, maxStep: 1n })).toBe(2n ** 64n - 2n);
  });

  test('is signed by its authority and by no other, and every number in it counts', () => {
    const token = raiseTo(100n);
    expect(isSigned(fleet, token)).toBe(true);
    const changes = [{ to: 101n }, { slot: 1 }, { maxStep: 17n }, { by: 'root' as const }];
    for (const change of changes) expect(isSigned(fleet, { ...token, ...change })).toBe(false);
    const first = signed(firstWrite, 'root');
    expect(isSigned(fleet, first)).toBe(true);
    const more = [{ generation: 10n }, { values: ZEROS }, { akName: Buffer.alloc(34, 2) }, { by: 'floor' as const }];
    for (const change of more) expect(isSigned(fleet, { ...first, ...change })).toBe(false);
  });

  test('of another fleet is not signed for this one', () => {
    const theirs = defineFloors({ floor: floorKey.publicKey, root: null });
    const token = floorToken(theirs, raise, { by: 'floor', privateKey: floorKey.privateKey });
    expect(isSigned(theirs, token)).toBe(true);
    expect(isSigned(fleet, token)).toBe(false);
    expect(isSigned(theirs, { ...token, by: 'root' })).toBe(false);
  });

  test('whose signature has another length is not signed, and no error', () => {
    for (const length of [0, 63, 65, 72]) {
      expect(isSigned(fleet, { ...raiseTo(7n), signature: Buffer.alloc(length, 1) })).toBe(false);
    }
  });

  test.each<readonly [string, () => unknown]>([
    ['a slot without floor', () => raiseTo(7n, { slot: 8 })],
    ['a floor above 64 bits', () => raiseTo(2n ** 64n)],
    ['a floor below zero', () => raiseTo(-1n)],
    ['a step of nothing', () => raiseTo(7n, { maxStep: 0n })],
    ['seven floors', () => signed({ ...firstWrite, values: ZEROS.slice(1) }, 'root')],
    ['a key that is not P-256', () => defineFloors({ floor: generateKey('p384').publicKey, root: null })],
    ['one key in both roles', () => defineFloors({ floor, root: floor })],
    [
      'an authority that the fleet has not',
      () =>
        floorToken(defineFloors({ floor: floorKey.publicKey, root: null }), raise, {
          by: 'root',
          privateKey: floorKey.privateKey,
        }),
    ],
    ['a slot between two', () => floorOffset(0.5)],
    ['63 bytes', () => readFloorBytes(Buffer.alloc(63))],
  ])('is not made of %s', (_, make) => {
    expect(make).toThrow(RangeError);
  });

  test('floors are written and read as eight big-endian numbers', () => {
    expect(readFloorBytes(allFloorBytes(firstWrite.values))).toEqual(firstWrite.values);
    expect(allFloorBytes(firstWrite.values).subarray(8, 16).toString('hex')).toBe('0000000000000001');
  });
});

describe('the file of a token', () => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const raises = fc.record({
    kind: fc.constant('raise' as const),
    slot: fc.nat({ max: 7 }),
    to: u64,
    maxStep: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  });
  const firstWrites = fc.record({
    kind: fc.constant('first-write' as const),
    values: fc.array(u64, { minLength: 8, maxLength: 8 }),
    generation: u64,
    akName: fc.uint8Array({ minLength: 34, maxLength: 34 }).map((bytes) => Buffer.from(bytes)),
  });

  test('says what the token says, for every token', () => {
    fc.assert(
      fc.property(fc.oneof(raises, firstWrites), fc.constantFrom('floor', 'root'), (order: FloorOrder, by) => {
        const token = { ...order, by, signature: Buffer.alloc(64, 5) } as const;
        expect(decodeFloorToken(encodeFloorToken(token))).toEqual(token);
      }),
    );
  });

  test.each<readonly [string, (json: Record<string, unknown>) => unknown]>([
    ['another version', (json) => ({ ...json, v: 2 })],
    ['another kind', (json) => ({ ...json, kind: 'lower' })],
    ['a number as a number', (json) => ({ ...json, to: 7 })],
    ['a number with a sign', (json) => ({ ...json, to: '-7' })],
    ['a number with a leading zero', (json) => ({ ...json, to: '07' })],
    ['a number above 64 bits', (json) => ({ ...json, to: (2n ** 64n).toString() })],
    ['a number that is none', (json) => ({ ...json, to: '`' })],
    ['a step of nothing', (json) => ({ ...json, maxStep: '0' })],
    ['a slot that has no floor', (json) => ({ ...json, slot: 8 })],
    ['a field that is not known', (json) => ({ ...json, more: 1 })],
    ['a field that is missing', (json) => ({ ...json, signature: undefined })],
    ['no object', () => []],
  ])('is refused with %s', (_, change) => {
    const json = JSON.parse(encodeFloorToken(raiseTo(7n)).toString()) as Record<string, unknown>;
    const changed = Buffer.from(JSON.stringify(change(json)));
    expect(() => decodeFloorToken(changed)).toThrow(WireError);
  });

  test('is refused when it is larger than any token, or no JSON', () => {
    const large = Buffer.concat([encodeFloorToken(raiseTo(7n)), Buffer.alloc(5000, 0x20)]);
    expect(() => decodeFloorToken(large)).toThrow(WireError);
    expect(() => decodeFloorToken(Buffer.from('{'))).toThrow(WireError);
  });
});
