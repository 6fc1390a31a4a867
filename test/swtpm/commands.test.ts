// Capabilities, random, digests, signatures, PCRs and the TPM's life, on a real software TPM over both transports.
import { randomBytes, sign as signWith, generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { quote } from '../../src/tpm/commands/attest.ts';
import { readAlgorithms, readHandles, readPcrBanks, readProperties } from '../../src/tpm/commands/capabilities.ts';
import { readClock, shutdown, startup } from '../../src/tpm/commands/lifecycle.ts';
import { flushContext, loadExternal } from '../../src/tpm/commands/objects.ts';
import { pcrExtend, pcrRead, pcrReset } from '../../src/tpm/commands/pcr.ts';
import { getRandom } from '../../src/tpm/commands/random.ts';
import { hash, sign, verifySignature } from '../../src/tpm/commands/signing.ts';
import { CommandQueue } from '../../src/tpm/queue.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_ALG, TPM_GENERATED_VALUE, TPM_PT, TPM_RH } from '../../src/tpm/wire/constants.ts';
import { publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { signingKeyPublic, tpmSignature } from '../../src/tpm/wire/signing-key.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { closeUnleaked, openQueue, TRANSPORTS, withPrimary } from '../support/tpm-bench.ts';

let software: SoftwareTpm;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});

describe.each(TRANSPORTS)('over $name', ({ open }) => {
  let tpm: CommandQueue;
  beforeEach(async () => {
    tpm = new CommandQueue(await open(software));
  });
  afterEach(async () => {
    await closeUnleaked(tpm);
  });

  test('capabilities name maker, firmware, algorithms, handles and the active banks', async () => {
    const properties = await readProperties(tpm, TPM_PT.FAMILY_INDICATOR);
    expect(properties.get(TPM_PT.FAMILY_INDICATOR)).toBe(Buffer.from('2.0\0').readUInt32BE());
    expect(properties.get(TPM_PT.MANUFACTURER)).toBe(Buffer.from('IBM\0').readUInt32BE());
    expect([...properties.keys()].every((property) => property >>> 8 === 1)).toBe(true);
    expect((await readProperties(tpm, TPM_PT.PERMANENT)).get(TPM_PT.MAX_AUTH_FAIL)).toBe(3);
    expect(await readAlgorithms(tpm)).toEqual(expect.arrayContaining([TPM_ALG.SHA256, TPM_ALG.ECC, TPM_ALG.ECDSA]));
    expect(await readHandles(tpm, 0)).toEqual(Array.from({ length: 24 }, (_, index) => index));
    const active = (await readPcrBanks(tpm)).filter(({ pcrs }) => pcrs.length > 0);
    expect(active).toEqual([{ hash: TPM_ALG.SHA256, pcrs: Array.from({ length: 24 }, (_, index) => index) }]);
  });

  test('random bytes come in any number and never twice', async () => {
    const [one, two] = [await getRandom(tpm, 200), await getRandom(tpm, 200)];
    expect(one).toHaveLength(200);
    expect(one).not.toEqual(two);
    expect(await getRandom(tpm, 0)).toHaveLength(0);
  });

  test('the digest is SHA-256, and its ticket makes a restricted key sign it', async () => {
    const data = randomBytes(100);
    await withPrimary(tpm, AK_TEMPLATE, async (key) => {
      const { digest, ticket } = await hash(tpm, data, TPM_RH.OWNER);
      expect(digest).toEqual(sha256(data));
      await expect(sign(tpm, key, digest)).rejects.toMatchObject({ rcName: 'TPM_RC_TICKET', subject: 'parameter' });
      const signature = await sign(tpm, key, digest, { ticket });
      expect(verifyTpmSignature(publicKeyOf(key.publicArea), data, signature)).toBe(true);
    });
  });

  test('a restricted key never signs what begins like an attestation', async () => {
    const forged = Buffer.alloc(100);
    forged.writeUInt32BE(TPM_GENERATED_VALUE);
    await withPrimary(tpm, AK_TEMPLATE, async (key) => {
      const { digest, ticket } = await hash(tpm, forged, TPM_RH.OWNER);
      await expect(sign(tpm, key, digest, { ticket })).rejects.toMatchObject({ rcName: 'TPM_RC_TICKET' });
    });
  });

  test('a signature made outside is verified, and no other', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = await loadExternal(tpm, signingKeyPublic(publicKey));
    const data = randomBytes(40);
    const signature = tpmSignature(signWith('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
    expect((await verifySignature(tpm, key, sha256(data), signature)).hierarchy).toBe(TPM_RH.OWNER);
    await expect(verifySignature(tpm, key, sha256(data, data), signature)).rejects.toMatchObject({
      rcName: 'TPM_RC_SIGNATURE',
      subject: 'parameter',
      index: 2,
    });
    await flushContext(tpm, key);
  });

  test('only PCR 16 and 23 can be reset, and all 24 are read in one call', async () => {
    const digest = randomBytes(32);
    for (const pcr of [16, 23]) {
      await pcrExtend(tpm, pcr, TPM_ALG.SHA256, digest);
      await pcrReset(tpm, pcr);
    }
    await expect(pcrReset(tpm, 14)).rejects.toMatchObject({ rcName: 'TPM_RC_LOCALITY' });
    const values = await pcrRead(tpm, TPM_ALG.SHA256, await readHandles(tpm, 0));
    expect(values).toHaveLength(24);
    expect([values[16], values[23]]).toEqual([Buffer.alloc(32), Buffer.alloc(32)]);
  });

  test('PCRs of a bank that is not active are refused, although the TPM answers', async () => {
    await expect(pcrRead(tpm, TPM_ALG.SHA384, [14])).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
    await withPrimary(tpm, AK_TEMPLATE, async (key) => {
      const { attest } = await quote(tpm, key, randomBytes(32), [{ hash: TPM_ALG.SHA384, pcrs: [14] }]);
      // The trap for which every verifier must compare the selection with what it asked for.
      expect(decode(TpmsAttest, attest).attested).toMatchObject({
        type: 'quote',
        quote: { pcrSelect: [{ pcrs: [] }], pcrDigest: sha256() },
      });
    });
  });

  test('TPM2_Startup of a TPM that runs is refused by name', async () => {
    await expect(startup(tpm, 'CLEAR')).rejects.toMatchObject({ rcName: 'TPM_RC_INITIALIZE' });
  });
});

test('suspend and resume keep PCRs and count a restart; a reset counts a reset and clears them', async () => {
  const zero = Buffer.alloc(32);
  const value = async (tpm: CommandQueue): Promise<Buffer | undefined> => (await pcrRead(tpm, TPM_ALG.SHA256, [14]))[0];
  let queue = await openQueue(software);
  const before = (await readClock(queue)).clockInfo;
  await pcrExtend(queue, 14, TPM_ALG.SHA256, randomBytes(32));
  const extended = await value(queue);
  await shutdown(queue, 'STATE');
  await queue[Symbol.asyncDispose]();
  await software.stop();

  await software.start({ bare: true });
  queue = await openQueue(software);
  await expect(readClock(queue)).rejects.toMatchObject({ rcName: 'TPM_RC_INITIALIZE' });
  await startup(queue, 'STATE');
  const resumed = (await readClock(queue)).clockInfo;
  expect(resumed).toMatchObject({ resetCount: before.resetCount, restartCount: before.restartCount + 1, safe: true });
  expect(await value(queue)).toEqual(extended);
  await shutdown(queue, 'CLEAR');
  await queue[Symbol.asyncDispose]();
  await software.stop();

  await software.start({ bare: true });
  queue = await openQueue(software);
  await startup(queue, 'CLEAR');
  const reset = (await readClock(queue)).clockInfo;
  expect(reset).toMatchObject({ resetCount: before.resetCount + 1, restartCount: 0, safe: true });
  expect(await value(queue)).toEqual(zero);
  await queue[Symbol.asyncDispose]();
});
