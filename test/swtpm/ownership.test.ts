// Who may command the TPM: taking it, leaving it shared, clearing it, and its protection against guessing.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { quote } from '../../src/tpm/commands/attest.ts';
import {
  clear,
  dictionaryAttackLockReset,
  dictionaryAttackParameters,
  hierarchyChangeAuth,
} from '../../src/tpm/commands/hierarchy.ts';
import { nvDefine } from '../../src/tpm/commands/nv.ts';
import { createPrimary, evictControl, flushContext, type LoadedObject } from '../../src/tpm/commands/objects.ts';
import { openDeviceTpm, type DeviceTpm, type DeviceTpmOptions } from '../../src/tpm/device-tpm.ts';
import { withAuth } from '../../src/tpm/hierarchy-auth.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { readOwnership } from '../../src/tpm/ownership.ts';
import { CommandQueue, type QueueEvent } from '../../src/tpm/queue.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TPM_ALG, TPM_RH, TPMA_NV, TPMA_OBJECT } from '../../src/tpm/wire/constants.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { openQueue } from '../support/tpm-bench.ts';
import { tapped } from '../support/tapped-transport.ts';

const SELECTION = [{ hash: TPM_ALG.SHA256, pcrs: [0] }];
/** As keys of other software are: failures of their auth value count toward lockout. */
const GUARDED_TEMPLATE: TpmtPublic = { ...AK_TEMPLATE, attributes: AK_TEMPLATE.attributes & ~TPMA_OBJECT.noDA };
const GUARDED_AT = 0x81000200;

const authValues = (): { owner: Buffer; endorsement: Buffer; lockout: Buffer } => ({
  owner: Buffer.concat([randomBytes(31), Buffer.from([1])]),
  endorsement: Buffer.concat([randomBytes(31), Buffer.from([1])]),
  lockout: Buffer.concat([randomBytes(31), Buffer.from([1])]),
});

let software: SoftwareTpm;
beforeEach(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterEach(async () => {
  await software[Symbol.asyncDispose]();
});

async function open(options: Partial<DeviceTpmOptions> = {}): Promise<DeviceTpm> {
  return openDeviceTpm({ transport: await openSocketTransport({ path: software.socketPath }), ...options });
}

describe('a TPM that was taken', () => {
  test('obeys nobody who has not the values, and us as before', async () => {
    const values = authValues();
    const device = await open();
    const before = await device.identity();
    expect(await device.takeOwnership(values)).toEqual({ owner: 'set', endorsement: 'set', lockout: 'set' });
    expect(await device.ownership()).toMatchObject({
      ownerAuthSet: true,
      endorsementAuthSet: true,
      lockoutAuthSet: true,
    });
    const value = randomBytes(32);
    const made = makeCredential(decode(TpmtPublic, before.ekPublic), before.akName, value);
    expect(await device.activateCredential(made.credentialBlob, made.secret)).toEqual(value);
    await device[Symbol.asyncDispose]();

    const stranger = await openQueue(software);
    const denied = { rcName: 'TPM_RC_BAD_AUTH', subject: 'session', index: 1 };
    await expect(createPrimary(stranger, TPM_RH.ENDORSEMENT, AK_TEMPLATE)).rejects.toMatchObject(denied);
    await expect(createPrimary(stranger, TPM_RH.OWNER, AK_TEMPLATE)).rejects.toMatchObject(denied);
    const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead;
    const area = { nvIndex: 0x01800001, nameAlg: TPM_ALG.SHA256, attributes, authPolicy: Buffer.alloc(0), dataSize: 8 };
    await expect(nvDefine(stranger, area)).rejects.toMatchObject(denied);
    // Lockout's own value is protected from guessing: this wrong try is counted.
    await expect(clear(stranger)).rejects.toMatchObject({ rcName: 'TPM_RC_AUTH_FAIL' });
    await stranger[Symbol.asyncDispose]();

    await using again = await open({ auths: values });
    expect(await again.identity()).toEqual(before);
    const other = makeCredential(decode(TpmtPublic, before.ekPublic), before.akName, value);
    expect(await again.activateCredential(other.credentialBlob, other.secret)).toEqual(value);
    expect(await again.takeOwnership(authValues())).toEqual({
      owner: 'was set',
      endorsement: 'was set',
      lockout: 'was set',
    });
  });

  test('is not opened with other values, nor without any', async () => {
    const device = await open();
    await device.takeOwnership(authValues());
    await device[Symbol.asyncDispose]();
    await expect(open({ auths: authValues() })).rejects.toMatchObject({ rcName: 'TPM_RC_BAD_AUTH' });
    await expect(open()).rejects.toMatchObject({ rcName: 'TPM_RC_BAD_AUTH' });
  });

  test('was told its values in no form that somebody on the bus could read', async () => {
    const values = authValues();
    const tap = tapped(await openSocketTransport({ path: software.socketPath }));
    const device = await openDeviceTpm({ transport: tap });
    await device.takeOwnership(values);
    await device[Symbol.asyncDispose]();
    await using again = await open({ auths: values });
    expect((await again.ownership()).ownerAuthSet).toBe(true);
    for (const value of Object.values(values)) expect(Buffer.concat(tap.seen).includes(value)).toBe(false);
  });

  test('is taken completely after a power cut in the middle', async () => {
    const values = authValues();
    const queue = await openQueue(software);
    await hierarchyChangeAuth(queue, TPM_RH.OWNER, values.owner);
    await queue[Symbol.asyncDispose]();
    await software.restart({ clean: false });
    await using device = await open({ auths: values });
    expect(await device.takeOwnership(values)).toEqual({ owner: 'was set', endorsement: 'set', lockout: 'set' });
  });

  test('and then cleared has the same AK, forgets owner and endorsement values, and opens with the old ones at hand', async () => {
    const values = authValues();
    const device = await open();
    const { akName } = await device.identity();
    await device.takeOwnership(values);
    const session = await startSession(device.queue);
    await clear(device.queue, session.use({ auth: values.lockout, authAfter: Buffer.alloc(0) }));
    await session[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    await using again = await open({ auths: values });
    expect((await again.identity()).akName).toEqual(akName);
    expect(await again.ownership()).toMatchObject({
      ownerAuthSet: false,
      endorsementAuthSet: false,
      lockoutAuthSet: false,
    });
  });
});

test('a TPM that is shared keeps its empty values, and any local user makes the same AK', async () => {
  const device = await open();
  const { akName } = await device.identity();
  expect(await device.ownership()).toMatchObject({
    ownerAuthSet: false,
    endorsementAuthSet: false,
    lockoutAuthSet: false,
  });
  await device[Symbol.asyncDispose]();
  await using stranger = await openQueue(software);
  const same = await createPrimary(stranger, TPM_RH.ENDORSEMENT, AK_TEMPLATE);
  expect(same.name).toEqual(akName);
  await flushContext(stranger, same);
});

test('values that are short, or end in a zero that the TPM would drop, are a mistake of the caller', async () => {
  await using device = await open();
  await expect(device.takeOwnership({ ...authValues(), owner: Buffer.alloc(15, 1) })).rejects.toThrow(RangeError);
  await expect(device.takeOwnership({ ...authValues(), owner: Buffer.alloc(32) })).rejects.toThrow(RangeError);
  expect((await device.ownership()).endorsementAuthSet).toBe(false);
});

describe('protection against guessing', () => {
  /** Makes a key whose auth value is guarded, kept over restarts. */
  async function guardedKey(queue: CommandQueue, auth: Buffer): Promise<LoadedObject> {
    const key = await createPrimary(queue, TPM_RH.OWNER, GUARDED_TEMPLATE, { sensitive: { auth } });
    await evictControl(queue, key, GUARDED_AT);
    await flushContext(queue, key);
    return { ...key, handle: GUARDED_AT };
  }

  test('locks after wrong tries, counts them, spares our AK, and is lifted by the lockout value', async () => {
    const auth = randomBytes(16);
    const device = await open();
    const { queue } = device;
    await dictionaryAttackParameters(queue, { maxTries: 2, recoveryTime: 600, lockoutRecovery: 700 });
    const key = await guardedKey(queue, auth);
    const use = async (value: Buffer): Promise<unknown> =>
      withAuth(queue, value, async (session) => quote(queue, key, randomBytes(32), SELECTION, session));
    const wrong = { rcName: 'TPM_RC_AUTH_FAIL', subject: 'session', index: 1 };
    await expect(use(randomBytes(16))).rejects.toMatchObject(wrong);
    expect(await readOwnership(queue)).toMatchObject({
      failures: 1,
      maxFailures: 2,
      recoveryTime: 600,
      lockoutRecovery: 700,
      inLockout: false,
    });
    await expect(use(randomBytes(16))).rejects.toMatchObject(wrong);
    await expect(use(auth)).rejects.toMatchObject({ rcName: 'TPM_RC_LOCKOUT' });
    expect(await readOwnership(queue)).toMatchObject({ failures: 2, inLockout: true });
    await device.quote(randomBytes(32), { bank: 'sha256', pcrs: [14] });
    await dictionaryAttackLockReset(queue);
    await use(auth);
    expect(await readOwnership(queue)).toMatchObject({ failures: 0, inLockout: false });
    await device[Symbol.asyncDispose]();
  });

  test('answers the first guarded use after a start with "try again", which is done with the same bytes', async () => {
    const auth = randomBytes(16);
    const first = await openQueue(software);
    const key = await guardedKey(first, auth);
    await first[Symbol.asyncDispose]();
    await software.restart({ clean: true });
    const events: QueueEvent[] = [];
    const tap = tapped(await openSocketTransport({ path: software.socketPath }));
    await using queue = new CommandQueue(tap, { onEvent: (event) => events.push(event) });
    await withAuth(queue, auth, async (session) => quote(queue, key, randomBytes(32), SELECTION, session));
    expect(events).toEqual([{ kind: 'retried', command: 'TPM2_Quote', rc: 0x922, attempt: 1 }]);
    const quotes = tap.seen.filter((bytes) => bytes.readUInt32BE(6) === 0x158);
    expect(quotes).toHaveLength(2);
    expect(quotes[0]).toEqual(quotes[1]);
  });

  test('does not lock our AK out over 12 power cuts, where a guarded key is locked after few', async () => {
    const auth = randomBytes(16);
    const first = await openQueue(software);
    const key = await guardedKey(first, auth);
    await first[Symbol.asyncDispose]();
    let locked = 0;
    for (let cut = 0; cut < 12; cut += 1) {
      await software.restart({ clean: false });
      await using device = await open();
      await device.quote(randomBytes(32), { bank: 'sha256', pcrs: [14] });
      const used = withAuth(device.queue, auth, async (session) =>
        quote(device.queue, key, randomBytes(32), SELECTION, session),
      );
      if (
        await used.then(
          () => false,
          () => true,
        )
      )
        locked += 1;
    }
    expect(locked).toBeGreaterThan(0);
    await software.restart({ clean: false });
    await using device = await open();
    await device.quote(randomBytes(32), { bank: 'sha256', pcrs: [14] });
  });

  test('is not stirred by our AK alone over 12 power cuts', async () => {
    for (let cut = 0; cut < 12; cut += 1) {
      await using device = await open();
      await device.quote(randomBytes(32), { bank: 'sha256', pcrs: [14] });
      await software.restart({ clean: false });
    }
    await using device = await open();
    expect(await device.ownership()).toMatchObject({ failures: 0, inLockout: false });
  });
});
