// Keys and sealed data on a real software TPM: made, loaded, kept, saved, certified, and the limits of its memory.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { certify, quote } from '../../src/tpm/commands/attest.ts';
import { readHandles } from '../../src/tpm/commands/capabilities.ts';
import {
  contextLoad,
  contextSave,
  create,
  createPrimary,
  evictControl,
  flushContext,
  load,
  readPublic,
  unseal,
} from '../../src/tpm/commands/objects.ts';
import { password } from '../../src/tpm/commands/authorization.ts';
import type { CommandQueue } from '../../src/tpm/queue.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TPM_RH, TPMA_OBJECT } from '../../src/tpm/wire/constants.ts';
import { TpmsContext } from '../../src/tpm/wire/credential.ts';
import { qualifiedName } from '../../src/tpm/wire/names.ts';
import { publicKeyOf, verifyTpmSignature } from '../../src/tpm/wire/public-key.ts';
import type { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { AK_TEMPLATE, EK_TEMPLATES, SEALED_TEMPLATE, SRK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { flipped, closeUnleaked, openQueue, withPrimary } from '../support/tpm-bench.ts';

const KEPT_AT = 0x81000123;

let software: SoftwareTpm;
let tpm: CommandQueue;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tpm = await openQueue(software);
});
afterEach(async () => {
  await closeUnleaked(tpm);
});

describe('a primary key', () => {
  test.each<readonly [string, TpmtPublic]>([
    ['AK', AK_TEMPLATE],
    ['SRK', SRK_TEMPLATE],
    ...EK_TEMPLATES.filter(({ id }) => id !== 'H-1').map(({ id, template }) => [id, template] as const),
  ])('of the template %s is the same key every time', async (_, template) => {
    const nameOnce = async (): Promise<Buffer> =>
      withPrimary(tpm, template, async ({ name }) => Promise.resolve(name), TPM_RH.ENDORSEMENT);
    expect(await nameOnce()).toEqual(await nameOnce());
  });

  test('is another one under another hierarchy', async () => {
    const nameUnder = async (hierarchy: number): Promise<Buffer> =>
      withPrimary(tpm, AK_TEMPLATE, async ({ name }) => Promise.resolve(name), hierarchy);
    expect(await nameUnder(TPM_RH.OWNER)).not.toEqual(await nameUnder(TPM_RH.ENDORSEMENT));
  });

  test('is kept at a persistent handle, read there, and forgotten again', async () => {
    await withPrimary(tpm, AK_TEMPLATE, async (key) => evictControl(tpm, key, KEPT_AT), TPM_RH.OWNER);
    expect(await readHandles(tpm, 0x81000000)).toContain(KEPT_AT);
    const kept = await readPublic(tpm, KEPT_AT);
    expect(kept.qualifiedName).toEqual(qualifiedName(TPM_RH.OWNER, kept.name));
    await evictControl(tpm, kept, KEPT_AT);
    expect(await readHandles(tpm, 0x81000000)).not.toContain(KEPT_AT);
    await expect(readPublic(tpm, KEPT_AT)).rejects.toMatchObject({
      rcName: 'TPM_RC_HANDLE',
      subject: 'handle',
      index: 1,
    });
  });

  test('with an auth value is used by no other value', async () => {
    const auth = randomBytes(16);
    const key = await createPrimary(tpm, TPM_RH.OWNER, AK_TEMPLATE, { sensitive: { auth } });
    await using session = await startSession(tpm);
    const selection = [{ hash: 0x0b, pcrs: [0] }];
    await expect(quote(tpm, key, randomBytes(32), selection)).rejects.toMatchObject({ rcName: 'TPM_RC_BAD_AUTH' });
    await quote(tpm, key, randomBytes(32), selection, session.use({ auth }));
    await quote(tpm, key, randomBytes(32), selection, password(auth));
    await flushContext(tpm, key);
  });

  test('is certified by another key of the same TPM, with its Name', async () => {
    await withPrimary(tpm, AK_TEMPLATE, async (ak) =>
      withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
        const nonce = randomBytes(32);
        const { attest, signature } = await certify(tpm, srk, ak, nonce);
        const told = decode(TpmsAttest, attest);
        expect(told.extraData).toEqual(nonce);
        expect(told.attested).toEqual({
          type: 'certify',
          certify: { name: srk.name, qualifiedName: qualifiedName(TPM_RH.OWNER, srk.name) },
        });
        expect(verifyTpmSignature(publicKeyOf(ak.publicArea), attest, decode(TpmtSignature, signature))).toBe(true);
      }),
    );
  });
});

describe('sealed data', () => {
  test('comes back through a session that hides it, and only with its auth value', async () => {
    const data = randomBytes(32);
    const auth = randomBytes(16);
    await withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
      const salt = { key: srk, pinnedName: srk.name };
      await using session = await startSession(tpm, { salt });
      const hidden = session.use({ encryptCommand: true });
      const made = await create(tpm, srk, SEALED_TEMPLATE, { data, auth }, hidden);
      const sealed = await load(tpm, srk, made);
      expect(await unseal(tpm, sealed, session.use({ auth, encryptResponse: true }))).toEqual(data);
      await expect(unseal(tpm, sealed, session.use({ auth: randomBytes(16) }))).rejects.toMatchObject({
        rcName: 'TPM_RC_BAD_AUTH',
        subject: 'session',
        index: 1,
      });
      await flushContext(tpm, sealed);
    });
  });

  test('is not loaded when a bit of its private part was flipped', async () => {
    await withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
      const made = await create(tpm, srk, SEALED_TEMPLATE, { data: randomBytes(32) });
      const changed = { ...made, privateArea: flipped(made.privateArea, 8 * 40) };
      await expect(load(tpm, srk, changed)).rejects.toMatchObject({ rcName: 'TPM_RC_INTEGRITY', subject: 'parameter' });
    });
  });

  test('and keys that the TPM makes as children are their parent’s only', async () => {
    const childKey = { ...AK_TEMPLATE, attributes: AK_TEMPLATE.attributes & ~TPMA_OBJECT.restricted };
    const made = await withPrimary(tpm, SRK_TEMPLATE, async (srk) => create(tpm, srk, childKey));
    await withPrimary(
      tpm,
      SRK_TEMPLATE,
      async (other) => {
        await expect(load(tpm, other, made)).rejects.toMatchObject({ rcName: 'TPM_RC_INTEGRITY' });
      },
      TPM_RH.ENDORSEMENT,
    );
    await withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
      const loaded = await load(tpm, srk, made);
      expect((await readPublic(tpm, loaded.handle)).name).toEqual(loaded.name);
      await flushContext(tpm, loaded);
    });
  });
});

describe('a saved context', () => {
  test('of a key is loaded as often as wanted, and never when a bit of it was flipped', async () => {
    const { saved, name } = await withPrimary(tpm, SRK_TEMPLATE, async (key) => ({
      saved: await contextSave(tpm, key),
      name: key.name,
    }));
    expect(decode(TpmsContext, saved.bytes).hierarchy).toBe(TPM_RH.OWNER);
    for (let time = 0; time < 2; time += 1) {
      const handle = await contextLoad(tpm, saved);
      expect((await readPublic(tpm, handle)).name).toEqual(name);
      await flushContext(tpm, handle);
    }
    const changed = { ...saved, bytes: flipped(saved.bytes, saved.bytes.length * 8 - 1) };
    await expect(contextLoad(tpm, changed)).rejects.toMatchObject({ rcName: 'TPM_RC_INTEGRITY' });
  });

  test('of a session is loaded once', async () => {
    await using session = await startSession(tpm);
    const saved = await contextSave(tpm, session.handle);
    expect(await contextLoad(tpm, saved)).toBe(session.handle);
    await expect(contextLoad(tpm, saved)).rejects.toMatchObject({ rcName: 'TPM_RC_HANDLE' });
  });
});

describe('the memory of the TPM', () => {
  test('has no slot for a 4th object, nor for a quote by a persistent key, and says so by name', async () => {
    await withPrimary(tpm, AK_TEMPLATE, async (key) => evictControl(tpm, key, KEPT_AT));
    const kept = await readPublic(tpm, KEPT_AT);
    const keys = [];
    for (let count = 0; count < 3; count += 1) keys.push(await createPrimary(tpm, TPM_RH.OWNER, AK_TEMPLATE));
    const full = { rcName: 'TPM_RC_OBJECT_MEMORY' };
    await expect(createPrimary(tpm, TPM_RH.OWNER, AK_TEMPLATE)).rejects.toMatchObject(full);
    const selection = [{ hash: 0x0b, pcrs: [0] }];
    await expect(readPublic(tpm, KEPT_AT)).rejects.toMatchObject(full);
    await expect(quote(tpm, kept, randomBytes(32), selection)).rejects.toMatchObject(full);
    for (const key of keys) await flushContext(tpm, key);
    await quote(tpm, kept, randomBytes(32), selection);
    await evictControl(tpm, kept, KEPT_AT);
  });

  test('has no slot for a 4th session until one is flushed', async () => {
    const sessions = [await startSession(tpm), await startSession(tpm), await startSession(tpm)];
    await expect(startSession(tpm)).rejects.toMatchObject({ rcName: 'TPM_RC_SESSION_MEMORY' });
    await sessions.pop()?.[Symbol.asyncDispose]();
    sessions.push(await startSession(tpm));
    for (const session of sessions) await session[Symbol.asyncDispose]();
  });
});
