// Digests, MACs and the TPM's key derivation, against published vectors and against the plain construction.
import { createHash, createHmac, createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { equalBytes, hmacSha256, sha256, sha256Binary } from '../../src/crypto/digest.ts';
import { kdfA, kdfE } from '../../src/crypto/kdf.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

// FIPS 180-4, examples.
test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
])('SHA-256 of %j', (text, digest) => {
  expect(sha256(Buffer.from(text)).toString('hex')).toBe(digest);
  expect(Buffer.from(sha256Binary(Buffer.from(text)), 'latin1').toString('hex')).toBe(digest);
});

test('SHA-256 of parts is that of their concatenation', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }), (parts) => {
      expect(sha256(...parts)).toEqual(createHash('sha256').update(Buffer.concat(parts)).digest());
    }),
  );
});

// RFC 4231, test cases 1 to 4, 6 and 7.
test.each([
  ['0b'.repeat(20), '4869205468657265', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    '4a656665',
    '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  ['aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  [
    '0102030405060708090a0b0c0d0e0f10111213141516171819',
    'cd'.repeat(50),
    '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
  ],
  [
    'aa'.repeat(131),
    Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    'aa'.repeat(131),
    Buffer.from(
      'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
    ).toString('hex'),
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
])('HMAC-SHA-256 under %s', (key, data, mac) => {
  const secret = createSecretKey(hex(key));
  expect(hmacSha256(secret, hex(data)).toString('hex')).toBe(mac);
  expect(hmacSha256(secret, hex(data).subarray(0, 3), hex(data).subarray(3)).toString('hex')).toBe(mac);
});

test('equality is of length and of every byte', () => {
  const bytes = Buffer.from([1, 2, 3]);
  expect(equalBytes(bytes, new Uint8Array([1, 2, 3]))).toBe(true);
  for (const other of [[1, 2], [1, 2, 3, 4], [0, 2, 3], [1, 2, 2], []])
    expect(equalBytes(bytes, Buffer.from(other))).toBe(false);
  expect(equalBytes(new Uint8Array(), new Uint8Array())).toBe(true);
});

describe('key derivation', () => {
  const key = Buffer.alloc(32, 1);
  const [u, w] = [Buffer.from('u'), Buffer.from('w')];
  const be32 = (value: number): Buffer => hex(value.toString(16).padStart(8, '0'));

  test('KDFa is HMAC over counter, label, contexts and bits', () => {
    const block = (i: number, bits: number): Buffer =>
      createHmac('sha256', key)
        .update(Buffer.concat([be32(i), Buffer.from('STORAGE\0'), u, w, be32(bits)]))
        .digest();
    expect(kdfA('sha256', key, 'STORAGE', u, w, 128)).toEqual(block(1, 128).subarray(0, 16));
    expect(kdfA('sha256', key, 'STORAGE', u, w, 256)).toEqual(block(1, 256));
    expect(kdfA('sha256', key, 'STORAGE', u, w, 384)).toEqual(
      Buffer.concat([block(1, 384), block(2, 384).subarray(0, 16)]),
    );
  });

  test('KDFe is a hash over counter, secret, label and both keys', () => {
    const block = (i: number): Buffer =>
      createHash('sha384')
        .update(Buffer.concat([be32(i), key, Buffer.from('IDENTITY\0'), u, w]))
        .digest();
    expect(kdfE('sha384', key, 'IDENTITY', u, w, 384)).toEqual(block(1));
    expect(kdfE('sha384', key, 'IDENTITY', u, w, 512)).toEqual(Buffer.concat([block(1), block(2).subarray(0, 16)]));
  });

  test('of bits that fill no byte gives whole bytes', () => {
    expect(kdfA('sha256', key, 'x', u, w, 9)).toHaveLength(2);
  });
});

test('HMAC-SHA-256 is what node makes of any key and message, call after call', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 140 }), fc.uint8Array({ maxLength: 300 }), (secret, data) => {
      const key = createSecretKey(secret);
      const expected = createHmac('sha256', key).update(data).digest('hex');
      expect(hmacSha256(key, data).toString('hex')).toBe(expected);
      expect(hmacSha256(key, Buffer.from('another')).toString('hex')).not.toBe(expected);
      expect(hmacSha256(key, data).toString('hex')).toBe(expected);
    }),
  );
});
