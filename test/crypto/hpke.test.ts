// HPKE as RFC 9180 gives it: its own example opens, and nothing else than what was sealed for this does.
import { createPrivateKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { HPKE_AES_256, hpkeOpen, hpkeSeal } from '../../src/crypto/hpke.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** Appendix A.3.1, the first encryption: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode. */
const RFC = {
  suite: { aead: 'aes-128-gcm', id: 1, keyBytes: 16 } as const,
  recipient: hex(
    '04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0',
  ),
  secret: hex('f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2'),
  enc: hex(
    '04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4',
  ),
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  aad: hex('436f756e742d30'),
  ciphertext: hex('5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434'),
};

test('the example of the RFC opens', () => {
  const [x, y] = [RFC.recipient.subarray(1, 33), RFC.recipient.subarray(33)].map((one) => one.toString('base64url'));
  const jwk = { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '', d: RFC.secret.toString('base64url') };
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const { info, aad, suite } = RFC;
  const plain = hpkeOpen(key, Buffer.concat([RFC.enc, RFC.ciphertext]), { info, aad }, suite);
  expect(plain.toString()).toBe('Beauty is truth, truth beauty');
});

describe('what is sealed', () => {
  const to = generateKey('p256');
  const context = { info: Buffer.from('info'), aad: Buffer.from('aad') };
  const secret = Buffer.from('a secret of some length');
  const sealed = hpkeSeal(to.publicKey, secret, context);

  test('opens for its key and its context, and is another each time', () => {
    expect(hpkeOpen(to.privateKey, sealed, context)).toEqual(secret);
    expect(hpkeSeal(to.publicKey, secret, context)).not.toEqual(sealed);
    expect(sealed).toHaveLength(65 + secret.length + 16);
    expect(HPKE_AES_256.aead).toBe('aes-256-gcm');
  });

  test('does not open for another key, another context, or with any bit changed or left out', () => {
    const refused = /not sealed to this key/;
    const open =
      (bytes: Buffer, by = to.privateKey, of = context) =>
      () =>
        hpkeOpen(by, bytes, of);
    expect(open(sealed, generateKey('p256').privateKey)).toThrow(refused);
    expect(open(sealed, to.privateKey, { ...context, aad: Buffer.from('aae') })).toThrow(refused);
    expect(open(sealed, to.privateKey, { ...context, info: Buffer.from('infp') })).toThrow(refused);
    for (let end = 0; end < sealed.length; end++) expect(open(sealed.subarray(0, end))).toThrow(refused);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(open(flipped)).toThrow(refused);
    }
  });

  test('is for P-256 keys alone', () => {
    expect(() => hpkeSeal(generateKey('p384').publicKey, secret, context)).toThrow(RangeError);
  });
});
