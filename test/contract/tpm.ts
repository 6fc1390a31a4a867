// What every Tpm keeps: one suite for real TPMs over each transport and for the one that tests stand on.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { sameEpoch, type Tpm } from '../../src/tpm/port.ts';
import { TpmError } from '../../src/tpm/tpm-error.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_ALG, TPM_RH } from '../../src/tpm/wire/constants.ts';
import { objectName, qualifiedName } from '../../src/tpm/wire/names.ts';
import { publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { AK_ATTRIBUTES } from '../../src/tpm/wire/templates.ts';

/** A PCR that nobody else extends here and that no local user can reset. */
const PCR = 14;
const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

async function pcr(tpm: Tpm, index: number = PCR): Promise<Buffer> {
  const [value] = await tpm.readPcrs({ bank: 'sha256', pcrs: [index] });
  if (value === undefined) throw new Error('no value');
  return value;
}

export function tpmContract(name: string, open: () => Promise<Tpm>): void {
  describe(`${name} is a Tpm: it`, () => {
    let tpm: Tpm;
    beforeAll(async () => {
      tpm = await open();
    });
    afterAll(async () => {
      await tpm[Symbol.asyncDispose]();
    });

    test('extends a PCR as SHA-256 of the old value and the digest', async () => {
      const before = await pcr(tpm);
      const digest = randomBytes(32);
      await tpm.extendPcr(PCR, digest);
      expect(await pcr(tpm)).toEqual(sha256(before, digest));
    });

    test('says the life that it is in, the same each time', async () => {
      const life = await tpm.life();
      expect(life).toHaveLength(32);
      expect(await tpm.life()).toEqual(life);
    });

    test('refuses a digest that is not of 32 bytes and leaves the PCR as it was', async () => {
      const before = await pcr(tpm);
      await expect(tpm.extendPcr(PCR, randomBytes(20))).rejects.toThrow(RangeError);
      expect(await pcr(tpm)).toEqual(before);
    });

    test('gives all 24 values in the order asked, however many commands that takes', async () => {
      const pcrs = Array.from({ length: 24 }, (_, index) => index);
      const values = await tpm.readPcrs({ bank: 'sha256', pcrs });
      expect(values).toHaveLength(24);
      expect(values[PCR]).toEqual(await pcr(tpm));
      expect(values[0]).toEqual(Buffer.alloc(32));
      expect(values[17]).toEqual(Buffer.alloc(32, 0xff));
    });

    test('runs calls in the order they were made', async () => {
      const before = await pcr(tpm);
      const digests = [randomBytes(32), randomBytes(32), randomBytes(32)];
      const [first, second, third] = digests.map((digest) => tpm.extendPcr(PCR, digest));
      const after = pcr(tpm);
      let expected = before;
      for (const digest of digests) expected = sha256(expected, digest);
      expect(await after).toEqual(expected);
      await Promise.all([first, second, third]);
    });

    test('goes on after a call that failed', async () => {
      const failed = tpm.activateCredential(Buffer.alloc(2), Buffer.alloc(2));
      const clock = tpm.readClock();
      await expect(failed).rejects.toThrow(Error);
      expect((await clock).clock).toBeGreaterThanOrEqual(0n);
    });

    test('has a clock that does not go back and an epoch that stays while it runs', async () => {
      const first = await tpm.readClock();
      const second = await tpm.readClock();
      expect(second.clock).toBeGreaterThanOrEqual(first.clock);
      expect(sameEpoch(first, second)).toBe(true);
    });

    test('quotes what was asked, of the values that are there, under the AK', async () => {
      const identity = await tpm.identity();
      const qualifyingData = randomBytes(32);
      const selection = { bank: 'sha256', pcrs: [0, 7, PCR] } as const;
      const { attest, signature } = await tpm.quote(qualifyingData, selection);
      const told = decode(TpmsAttest, attest);
      expect(told.extraData).toEqual(qualifyingData);
      expect(told.qualifiedSigner).toEqual(identity.akQualifiedName);
      expect(told.firmwareVersion).toBe(identity.firmwareVersion);
      expect(sameEpoch(told.clockInfo, await tpm.readClock())).toBe(true);
      expect(told.attested).toEqual({
        type: 'quote',
        quote: {
          pcrSelect: [{ hash: TPM_ALG.SHA256, pcrs: [0, 7, PCR] }],
          pcrDigest: sha256(...(await tpm.readPcrs(selection))),
        },
      });
      const key = publicKeyOf(decode(TpmtPublic, identity.akPublic));
      expect(verifyTpmSignature(key, attest, decode(TpmtSignature, signature))).toBe(true);
      attest[50] = (attest[50] ?? 0) ^ 1;
      expect(verifyTpmSignature(key, attest, decode(TpmtSignature, signature))).toBe(false);
    });

    test('has an AK with exactly the attributes, Name and qualified Name of the design', async () => {
      const identity = await tpm.identity();
      const ak = decode(TpmtPublic, identity.akPublic);
      expect(ak.attributes).toBe(AK_ATTRIBUTES);
      expect(AK_ATTRIBUTES).toBe(0x50472);
      expect(identity.akName).toEqual(objectName(ak));
      expect(identity.akQualifiedName).toEqual(qualifiedName(TPM_RH.ENDORSEMENT, identity.akName));
      expect(identity.manufacturer).toMatch(/^[\x20-\x7e]{1,4}$/);
    });

    test('opens a credential made for its EK and AK', async () => {
      const identity = await tpm.identity();
      const secret = randomBytes(32);
      const made = makeCredential(decode(TpmtPublic, identity.ekPublic), identity.akName, secret);
      expect(await tpm.activateCredential(made.credentialBlob, made.secret)).toEqual(secret);
    });

    test('does not open a credential made for another AK, or one that was changed', async () => {
      const identity = await tpm.identity();
      const ek = decode(TpmtPublic, identity.ekPublic);
      const other = Buffer.from(identity.akName);
      other[20] = (other[20] ?? 0) ^ 1;
      const forOther = makeCredential(ek, other, randomBytes(32));
      await expect(tpm.activateCredential(forOther.credentialBlob, forOther.secret)).rejects.toThrow(TpmError);
      const changed = makeCredential(ek, identity.akName, randomBytes(32));
      const last = changed.credentialBlob.length - 1;
      changed.credentialBlob[last] = (changed.credentialBlob[last] ?? 0) ^ 1;
      await expect(tpm.activateCredential(changed.credentialBlob, changed.secret)).rejects.toThrow(TpmError);
    });
  });
}
