// Public areas and signatures of every kind that is met, and of kinds that are refused; all as node:crypto sees them.
import { createHash, createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../../src/bytes/wire.ts';
import { WireError } from '../../src/errors.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { encryptSeed } from '../../src/tpm/seed.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_ALG, TPM_ECC, TPM_GENERATED_VALUE, TPMA_OBJECT } from '../../src/tpm/wire/constants.ts';
import { nvName, objectName } from '../../src/tpm/wire/names.ts';
import { toTpmlPcrSelection, TpmlPcrSelection } from '../../src/tpm/wire/pcr.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { eccCurve, padLeft, publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { signingKeyPublic, tpmSignature } from '../../src/tpm/wire/signing-key.ts';
import { AK_TEMPLATE, EK_TEMPLATES, SEALED_TEMPLATE } from '../../src/tpm/wire/templates.ts';

const none = Buffer.alloc(0);

/** The area of a node key. */
function areaOf(key: KeyObject): TpmtPublic {
  const jwk = key.export({ format: 'jwk' });
  const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  const base = { nameAlg: TPM_ALG.SHA256, attributes: TPMA_OBJECT.sign, authPolicy: none };
  if (jwk.kty === 'RSA') {
    const modulus = bytes(jwk.n);
    const keyBits = modulus.length * 8;
    return { ...base, area: { type: 'rsa', symmetric: null, scheme: null, keyBits, exponent: 0, modulus } };
  }
  const curves: Readonly<Record<string, number>> = {
    'P-256': TPM_ECC.NIST_P256,
    'P-384': TPM_ECC.NIST_P384,
    'P-521': TPM_ECC.NIST_P521,
  };
  const curve = curves[jwk.crv ?? ''] ?? 0;
  return {
    ...base,
    area: { type: 'ecc', symmetric: null, scheme: null, curve, kdf: null, x: bytes(jwk.x), y: bytes(jwk.y) },
  };
}

const MESSAGE = Buffer.from('what a TPM says');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const curves = ['P-256', 'P-384', 'P-521'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }));

describe('a public area', () => {
  test.each<readonly [string, TpmtPublic]>([
    ['an RSA key', areaOf(rsa.publicKey)],
    [
      'an RSA key with a scheme',
      {
        ...areaOf(rsa.publicKey),
        area: {
          type: 'rsa',
          symmetric: null,
          scheme: { scheme: TPM_ALG.RSASSA, hash: TPM_ALG.SHA256 },
          keyBits: 2048,
          exponent: 65_537,
          modulus: Buffer.alloc(256, 1),
        },
      },
    ],
    [
      'an RSA key whose scheme has no hash',
      {
        ...areaOf(rsa.publicKey),
        area: {
          type: 'rsa',
          symmetric: null,
          scheme: { scheme: TPM_ALG.RSAES, hash: null },
          keyBits: 2048,
          exponent: 0,
          modulus: none,
        },
      },
    ],
    ['sealed data', SEALED_TEMPLATE],
    [
      'an HMAC key',
      {
        ...SEALED_TEMPLATE,
        area: {
          type: 'keyedhash',
          scheme: { scheme: TPM_ALG.HMAC, hash: TPM_ALG.SHA256 },
          unique: Buffer.alloc(32, 2),
        },
      },
    ],
    [
      'a symmetric key',
      {
        ...SEALED_TEMPLATE,
        area: {
          type: 'symcipher',
          symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB },
          unique: Buffer.alloc(32, 3),
        },
      },
    ],
    ...curves.map(({ publicKey }, index) => [`curve ${index}`, areaOf(publicKey)] as const),
  ])('of %s reads as it was written', (_, area) => {
    expect(decode(TpmtPublic, encode(TpmtPublic, area))).toEqual(area);
    expect(objectName(area)).toEqual(
      Buffer.concat([Buffer.from('000b', 'hex'), createHash('sha256').update(encode(TpmtPublic, area)).digest()]),
    );
  });

  test('of a kind or with a scheme that this product does not meet is refused', () => {
    const bytes = encode(TpmtPublic, AK_TEMPLATE);
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy.writeUInt16BE(value, at);
      return copy;
    };
    expect(() => decode(TpmtPublic, changed(0, 0x1234))).toThrow(/not supported/);
    // type 2, nameAlg 2, attributes 4, policy 2, symmetric 2: then the scheme.
    expect(() => decode(TpmtPublic, changed(12, TPM_ALG.XOR))).toThrow(WireError);
  });

  test('is a key that node knows, or a WireError', () => {
    for (const { publicKey } of [rsa, ...curves]) expect(publicKeyOf(areaOf(publicKey)).equals(publicKey)).toBe(true);
    expect(() => publicKeyOf(SEALED_TEMPLATE)).toThrow(/no public key/);
    const offCurve = {
      ...AK_TEMPLATE,
      area: { ...areaOf(curves[0]?.publicKey ?? rsa.publicKey).area, y: Buffer.alloc(32, 1) },
    } as TpmtPublic;
    expect(() => publicKeyOf(offCurve)).toThrow(/not a valid public key/);
    const tooLong = { ...offCurve, area: { ...offCurve.area, x: Buffer.alloc(33, 1) } } as TpmtPublic;
    expect(() => publicKeyOf(tooLong)).toThrow(WireError);
    expect(() => eccCurve(0x20)).toThrow(WireError);
    expect(padLeft(Buffer.from([1]), 2)).toEqual(Buffer.from([0, 1]));
  });

  test('with a name algorithm that is not known has no Name, and no secret is made for it', () => {
    const strange = { ...AK_TEMPLATE, nameAlg: 0x99 };
    expect(() => objectName(strange)).toThrow(RangeError);
    expect(() => nvName({ nvIndex: 1, nameAlg: 0x99, attributes: 0, authPolicy: none, dataSize: 1 })).toThrow(
      RangeError,
    );
    expect(() => encryptSeed({ ...areaOf(rsa.publicKey), nameAlg: 0x99 }, 'SECRET')).toThrow(RangeError);
    expect(() => encryptSeed(SEALED_TEMPLATE, 'SECRET')).toThrow(RangeError);
  });

  test('of a key that is no EK, or a value too long for it, makes no credential', () => {
    const [l2] = EK_TEMPLATES;
    const name = objectName(AK_TEMPLATE);
    expect(() => makeCredential(AK_TEMPLATE, name, Buffer.alloc(32))).toThrow(RangeError);
    expect(() => makeCredential(l2?.template ?? AK_TEMPLATE, name, Buffer.alloc(33))).toThrow(RangeError);
    expect(() => makeCredential(SEALED_TEMPLATE, name, Buffer.alloc(32))).toThrow(RangeError);
  });
});

describe('a signature', () => {
  const [p256] = curves;
  const raw = sign('sha256', MESSAGE, { key: p256?.privateKey ?? rsa.privateKey, dsaEncoding: 'ieee-p1363' });
  const ecdsa = tpmSignature(raw);
  const rsassa: TpmtSignature = {
    scheme: 'rsassa',
    hash: TPM_ALG.SHA256,
    signature: sign('sha256', MESSAGE, rsa.privateKey),
  };

  test.each<readonly [string, TpmtSignature]>([
    ['ECDSA', ecdsa],
    ['RSASSA', rsassa],
    ['RSAPSS', { ...rsassa, scheme: 'rsapss' }],
    ['HMAC', { scheme: 'hmac', hash: TPM_ALG.SHA256, digest: createHmac('sha256', 'k').digest() }],
  ])('%s reads as it was written', (_, signature) => {
    expect(decode(TpmtSignature, encode(TpmtSignature, signature))).toEqual(signature);
  });

  test('of a scheme or hash that is not known is refused', () => {
    const bytes = encode(TpmtSignature, ecdsa);
    const scheme = Buffer.from(bytes);
    scheme.writeUInt16BE(0x1a, 0);
    expect(() => decode(TpmtSignature, scheme)).toThrow(/scheme/);
    const hash = Buffer.from(bytes);
    hash.writeUInt16BE(0x99, 2);
    expect(() => decode(TpmtSignature, hash)).toThrow(/hash/);
  });

  test('is valid by its key, of its kind, with a hash that is no SHA-1', () => {
    const ecKey = p256?.publicKey ?? rsa.publicKey;
    expect(verifyTpmSignature(ecKey, MESSAGE, ecdsa)).toBe(true);
    expect(verifyTpmSignature(rsa.publicKey, MESSAGE, rsassa)).toBe(true);
    expect(verifyTpmSignature(rsa.publicKey, MESSAGE, ecdsa)).toBe(false);
    expect(verifyTpmSignature(ecKey, MESSAGE, rsassa)).toBe(false);
    expect(verifyTpmSignature(rsa.publicKey, MESSAGE, { ...rsassa, scheme: 'rsapss' })).toBe(false);
    const weak = sign('sha1', MESSAGE, rsa.privateKey);
    expect(verifyTpmSignature(rsa.publicKey, MESSAGE, { ...rsassa, hash: TPM_ALG.SHA1, signature: weak })).toBe(false);
    expect(verifyTpmSignature(rsa.publicKey, MESSAGE, { ...rsassa, hash: 0x99 })).toBe(false);
  });

  test('and a key that approve policies are P-256', () => {
    expect(() => tpmSignature(Buffer.alloc(96))).toThrow(RangeError);
    expect(() => signingKeyPublic(rsa.publicKey)).toThrow(RangeError);
    expect(() => signingKeyPublic(curves[1]?.publicKey ?? rsa.publicKey)).toThrow(RangeError);
  });
});

describe('an attestation', () => {
  const head = {
    magic: TPM_GENERATED_VALUE,
    qualifiedSigner: Buffer.alloc(34, 1),
    extraData: Buffer.alloc(32, 2),
    clockInfo: { clock: 5n, resetCount: 6, restartCount: 7, safe: false },
    firmwareVersion: 8n,
  };
  test.each<readonly [string, TpmsAttest['attested']]>([
    ['a key', { type: 'certify', certify: { name: Buffer.alloc(34, 3), qualifiedName: Buffer.alloc(34, 4) } }],
    ['an NV index', { type: 'nv', nv: { indexName: Buffer.alloc(34, 5), offset: 8, nvContents: Buffer.alloc(8, 6) } }],
    ['something else', { type: 'other', tag: 0x8019, bytes: Buffer.alloc(9, 7) }],
  ])('of %s reads as it was written', (_, attested) => {
    const attest: TpmsAttest = { ...head, attested };
    expect(decode(TpmsAttest, encode(TpmsAttest, attest))).toEqual(attest);
  });

  test('whose "safe" is neither yes nor no is refused', () => {
    const bytes = encode(TpmsAttest, { ...head, attested: { type: 'other', tag: 0x8019, bytes: none } });
    bytes[bytes.length - 9] = 2;
    expect(() => decode(TpmsAttest, bytes)).toThrow(/must be 0 or 1/);
  });
});

test('a PCR that does not exist is not selected', () => {
  const selection = toTpmlPcrSelection({ bank: 'sha384', pcrs: [0, 23] });
  expect(encode(TpmlPcrSelection, selection).toString('hex')).toBe('00000001000c03010080');
  for (const pcr of [24, -1, 0.5]) {
    expect(() => encode(TpmlPcrSelection, [{ hash: TPM_ALG.SHA256, pcrs: [pcr] }])).toThrow(/does not exist/);
  }
});
