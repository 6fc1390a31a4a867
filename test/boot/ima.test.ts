// The kernel's measurement list: both forms read alike, replayed against PCR 10 with violations, tied to its boot.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readImaList } from '../../src/boot/ima-list.ts';
import { bootAggregate, replayImaList } from '../../src/boot/ima-replay.ts';
import { WireError } from '../../src/errors.ts';
import { imaAscii, imaBinary, imaPcr, sha256, sized, u32, thrownBy } from './log-builder.ts';

const RECORDS = [
  { path: 'boot_aggregate' },
  { path: '/init' },
  { path: '/usr/bin/café', signature: Buffer.from('030204aabb', 'hex') },
  { path: '/var/log/open-for-writing', violation: true },
  { path: '/bin/node', template: 'ima-ng' },
] as const;
const binary = imaBinary(...RECORDS);
const ascii = imaAscii(...RECORDS);

test('a list says the same in binary and in ASCII', () => {
  const records = readImaList(binary);
  expect(readImaList(ascii)).toEqual(records);
  expect(records.map(({ path, violation }) => [path, violation])).toEqual(
    RECORDS.map((parts) => [parts.path, 'violation' in parts]),
  );
});

describe('a list explains PCR 10', () => {
  const records = readImaList(binary);

  test('with all its records, a violation as 32 bytes 0xff', () => {
    expect(replayImaList(records, imaPcr(...RECORDS))).toEqual({ explained: 5, violations: 1 });
  });

  test('of a moment before it grew', () => {
    expect(replayImaList(records, imaPcr(...RECORDS.slice(0, 2)))).toEqual({ explained: 2, violations: 0 });
  });

  test('never when a record was changed, left out or moved', () => {
    const quoted = imaPcr(...RECORDS);
    const [first, second, ...rest] = RECORDS;
    for (const bent of [
      [{ ...first, content: 'x' }, second, ...rest],
      [first, ...rest],
      [second, first, ...rest],
    ]) {
      expect(replayImaList(readImaList(imaBinary(...bent)), quoted)).toBeNull();
    }
  });

  test('never when a record is passed off as a violation', () => {
    const bent = RECORDS.map((parts) => (parts.path === '/init' ? { ...parts, violation: true } : parts));
    expect(replayImaList(readImaList(imaBinary(...bent)), imaPcr(...RECORDS))).toBeNull();
  });
});

describe('the first record', () => {
  const pcrs = new Map(Array.from({ length: 10 }, (_, pcr) => [pcr, sha256(Buffer.from([pcr]))]));
  const aggregateOf = (count: number): Buffer => Buffer.concat([...pcrs.values()].slice(0, count));
  const listOf = (content: Uint8Array): Buffer => {
    const digest = sha256(content);
    const data = Buffer.concat([
      sized(Buffer.from('sha256:\0'), digest),
      sized(Buffer.from('boot_aggregate\0')),
      u32(0),
    ]);
    const line = imaAscii({ path: 'boot_aggregate' }).toString();
    const sha1 = createHash('sha1').update(data).digest('hex');
    return Buffer.from(line.replace(/^10 \S+/, `10 ${sha1}`).replace(/sha256:\S+/, `sha256:${digest.toString('hex')}`));
  };

  test.each([10, 8])('names the boot by PCR 0 to 9, or 0 to 7 in older kernels (%i)', (count) => {
    expect(bootAggregate(readImaList(listOf(aggregateOf(count))), pcrs)).toBe('same');
  });

  test('of another boot is seen', () => {
    expect(bootAggregate(readImaList(listOf(Buffer.from('other'))), pcrs)).toBe('other');
  });

  test('is missed where the list has none, or PCRs are not given', () => {
    expect(bootAggregate(readImaList(imaBinary({ path: '/init' })), pcrs)).toBe('missing');
    expect(bootAggregate([], pcrs)).toBe('missing');
    expect(bootAggregate(readImaList(listOf(aggregateOf(10))), new Map())).toBe('missing');
  });
});

describe('a list is refused', () => {
  const line = imaAscii({ path: '/init' }).toString();
  test.each<[string, Buffer]>([
    ['of another PCR', Buffer.concat([u32(11), binary.subarray(4)])],
    ['of the old template, whose digests are SHA-1', imaBinary({ path: '/init', template: 'ima' })],
    [
      'whose template digest is not of its data',
      Buffer.concat([binary.subarray(0, 4), Buffer.alloc(20, 7), binary.subarray(24)]),
    ],
    ['whose file digest has the size of another algorithm', Buffer.from(line.replace('sha256:', 'sha512:'))],
    ['with an algorithm that is a name of every object', Buffer.from(line.replace('sha256:', 'valueof:'))],
    ['in which a path holds a space', Buffer.from(line.replace('/init', '/in it x'))],
    ['in which a path holds a line of its own', Buffer.from(line.replace('/init', '/in\n10 it'))],
    ['with an empty line', Buffer.from(`${line}\n`)],
    ['with a record cut off', binary.subarray(0, binary.length - 1)],
    ['with a size larger than any', Buffer.concat([u32(10), Buffer.alloc(20), u32(0xffffffff)])],
  ])('%s', (_, bytes) => {
    expect(() => readImaList(bytes)).toThrow(WireError);
  });

  test('or read, whatever the bytes are: nothing else is thrown', () => {
    const bend = (bytes: Buffer): fc.Arbitrary<Buffer> =>
      fc
        .tuple(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }))
        .map(([at, part]) => Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + part.length)]));
    fc.assert(
      fc.property(fc.oneof(bend(binary), bend(ascii), fc.uint8Array()), (bytes) => {
        const thrown = thrownBy(() => {
          replayImaList(readImaList(bytes), Buffer.alloc(32));
        });
        expect(thrown === null || thrown instanceof WireError).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
