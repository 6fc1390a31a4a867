// Structures of the TPM: real bytes decode to what they say and encode to the same bytes; anything else is a WireError.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, encode } from '../../src/bytes/wire.ts';
import type { Codec } from '../../src/bytes/wire.ts';
import { WireError } from '../../src/errors.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { Tpm2bIdObject, TpmsContext } from '../../src/tpm/wire/credential.ts';
import { objectName, nvName } from '../../src/tpm/wire/names.ts';
import { TpmsNvPublic } from '../../src/tpm/wire/nv.ts';
import { PcrReadAnswer, TpmlPcrSelection } from '../../src/tpm/wire/pcr.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature, TpmtTicket } from '../../src/tpm/wire/signature.ts';
import { AK_ATTRIBUTES, AK_TEMPLATE, EK_TEMPLATES, SRK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { verifyTpmSignature, publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';

/** A quote of 12 PCRs by an ECC key, taken from a software TPM. */
const QUOTE = Buffer.from(
  'ff54434780180022000b4692ab0a34258f85781a9df56e615440515057dde867cb0de25d76f6a497ebaf00205e5e52bb409b38d117ace01b8f0782139d7eeb5efc6a531d17f14e2ecb5b183e0000000000048bbe000000030000000001201910230016363600000001000b03fff0000020a1a4f5721c1c4610af7f71078f3a68c330536d679803b0e0507ee8dc10c5dfca',
  'hex',
);

describe('TPMS_ATTEST', () => {
  it('reads a real quote field by field and writes the same bytes', () => {
    const attest = decode(TpmsAttest, QUOTE);
    expect(attest.clockInfo).toEqual({ clock: 0x48bben, resetCount: 3, restartCount: 0, safe: true });
    expect(attest.attested).toMatchObject({
      type: 'quote',
      quote: {
        pcrSelect: [{ hash: 0x0b, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15].filter((p) => p < 8 || p > 11) }],
      },
    });
    expect(encode(TpmsAttest, attest)).toEqual(QUOTE);
  });

  it('refuses every truncation and a byte too many', () => {
    for (let n = 0; n < QUOTE.length; n++) expect(() => decode(TpmsAttest, QUOTE.subarray(0, n))).toThrow(WireError);
    expect(() => decode(TpmsAttest, Buffer.concat([QUOTE, Buffer.from([0])]))).toThrow(/left over/);
  });

  it('names a statement of another type instead of taking it for a quote', () => {
    const time = Buffer.from(QUOTE);
    time.writeUInt16BE(0x8019, 4);
    expect(decode(TpmsAttest, time).attested).toMatchObject({ type: 'other', tag: 0x8019 });
  });

  it('refuses a magic that no TPM writes', () => {
    const forged = Buffer.from(QUOTE);
    forged[0] = 0;
    expect(() => decode(TpmsAttest, forged)).toThrow(/magic/);
  });
});

/** What the bytes decode to, or the error, which must be one of the wire. Anything else is thrown. */
function decoded(codec: Codec<unknown>, bytes: Uint8Array): { value: unknown } | WireError {
  try {
    return { value: decode(codec, bytes) };
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

describe('every structure', () => {
  const codecs: readonly [string, Codec<unknown>][] = [
    ['TpmsAttest', TpmsAttest],
    ['TpmtPublic', TpmtPublic as Codec<unknown>],
    ['TpmtSignature', TpmtSignature as Codec<unknown>],
    ['TpmtTicket', TpmtTicket as Codec<unknown>],
    ['TpmsNvPublic', TpmsNvPublic as Codec<unknown>],
    ['TpmlPcrSelection', TpmlPcrSelection as Codec<unknown>],
    ['PcrReadAnswer', PcrReadAnswer as Codec<unknown>],
    ['Tpm2bIdObject', Tpm2bIdObject as Codec<unknown>],
    ['TpmsContext', TpmsContext as Codec<unknown>],
  ].map(([name, codec]) => [name as string, codec as Codec<unknown>]);

  it.each(codecs)('%s: random bytes decode to what encodes to them again, or are a WireError', (_name, codec) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const outcome = decoded(codec, bytes);
        expect(outcome instanceof WireError || encode(codec, outcome.value).equals(bytes)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('names', () => {
  it('computes an NV index name with and without the WRITTEN bit as a TPM does', () => {
    const index: TpmsNvPublic = {
      nvIndex: 0x01800040,
      nameAlg: 0x0b,
      attributes: 0x22060008,
      authPolicy: Buffer.from('00', 'hex'),
      dataSize: 8,
    };
    expect(nvName(index)).not.toEqual(nvName({ ...index, attributes: 0x02060008 }));
    expect(nvName(index)).toHaveLength(34);
  });

  it('keeps the templates that TPM vendors and swtpm use', () => {
    expect(AK_ATTRIBUTES).toBe(0x50472);
    expect(EK_TEMPLATES.map((ek) => [ek.id, ek.template.attributes])).toEqual([
      ['L-2', 0x300b2],
      ['L-1', 0x300b2],
      ['H-2', 0x300f2],
      ['H-3', 0x300f2],
      ['H-1', 0x300f2],
    ]);
    for (const template of [AK_TEMPLATE, SRK_TEMPLATE, ...EK_TEMPLATES.map((ek) => ek.template)]) {
      expect(decode(TpmtPublic, encode(TpmtPublic, template))).toEqual(template);
    }
  });
});

describe('credentials and quotes without a TPM', () => {
  it('a credential opens for its AK and for no other', async () => {
    const [mine, other] = [new FakeTpm(), new FakeTpm()];
    const { ekPublic, akName } = await mine.identity();
    const value = sha256(Buffer.from('secret'));
    const ek = decode(TpmtPublic, ekPublic);
    const good = makeCredential(ek, akName, value);
    expect(await mine.activateCredential(good.credentialBlob, good.secret)).toEqual(value);
    const swapped = makeCredential(ek, (await other.identity()).akName, value);
    await expect(mine.activateCredential(swapped.credentialBlob, swapped.secret)).rejects.toThrow(/INTEGRITY/);
    await expect(other.activateCredential(good.credentialBlob, good.secret)).rejects.toThrow(/INTEGRITY/);
  });

  it('a quote verifies by the AK of its TPM and not after any bit was flipped', async () => {
    const tpm = new FakeTpm();
    const { akPublic, akName } = await tpm.identity();
    const area = decode(TpmtPublic, akPublic);
    expect(objectName(area)).toEqual(akName);
    const key = publicKeyOf(area);
    const { attest, signature } = await tpm.quote(sha256(Buffer.from('q')), { bank: 'sha256', pcrs: [14] });
    const parsed = decode(TpmtSignature, signature);
    expect(verifyTpmSignature(key, attest, parsed)).toBe(true);
    for (let bit = 0; bit < attest.length * 8; bit++) {
      const flipped = Buffer.from(attest);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyTpmSignature(key, flipped, parsed)).toBe(false);
    }
  });
});
