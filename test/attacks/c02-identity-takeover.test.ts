// C2, another in the place of a known device: by its id, its disk, its certificate or its old keys. What is known stays as it is.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { decodeEnrolRequest, encodeEnrolProof } from '../../src/protocol/codec.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { ask, openDesk, openOffice, outcome, prove } from '../controller/desk.ts';
import type { Desk, Office } from '../controller/desk.ts';
import { SoftDevice } from '../support/soft-device.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

/** A desk where one device has its place, and everything that is known of it. */
async function taken(): Promise<{ desk: Desk; victim: SoftDevice; record: () => Promise<unknown> }> {
  const desk = await openDesk(office);
  const victim = await SoftDevice.make(office.fleet, null);
  await ask(desk, victim);
  await desk.desk.approve(victim.id, 'Jo');
  const record = async (): Promise<unknown> => [
    await desk.registry.device(victim.id),
    await desk.registry.enrolment(victim.id),
  ];
  return { desk, victim, record };
}

describe('the id of a known device', () => {
  test('belongs to its endorsement key: whoever brings another key has another id', async () => {
    const { desk, victim, record } = await taken();
    const before = await record();
    const thief = await SoftDevice.make(office.fleet, null);
    expect(thief.id).not.toBe(victim.id);
    await desk.desk.receive(victim.id, await thief.request({ deviceId: victim.id }));
    expect(outcome(desk).reason).toContain('enrol-id');
    expect(await record()).toEqual(before);
  });

  test('with its public keys, but without its TPM, is asked for a credential that nobody else opens', async () => {
    const { desk, victim, record } = await taken();
    const before = await record();
    const thief = await SoftDevice.make(office.fleet, null);
    const { ekPublic, akPublic } = await victim.tpm.identity();
    const request = await victim.request({ ekPublic, akPublic, token: 'guess' });
    await desk.desk.receive(victim.id, request);
    await expect(prove(desk, thief, request)).rejects.toThrow('not for this AK');
    expect(await record()).toEqual(before);
  });

  test('is proven for one request: a proof is for no other, and skipping the credential answers nothing', async () => {
    const { desk, victim, record } = await taken();
    const mine = await victim.request({ token: 'one' });
    await desk.desk.receive(victim.id, mine);
    const proof = await prove(desk, victim, mine);
    victim.loseDisk();
    const other = await victim.request({ token: 'two' });
    const before = await record();
    const answers = desk.sent.length;
    await desk.desk.receive(victim.id, encodeEnrolProof({ ...proof, request: sha256(other) }));
    expect(desk.sent).toHaveLength(answers);
    expect(await record()).toEqual(before);
  });
});

describe('a copy of everything on the disk', () => {
  test('in a machine with another TPM cannot enrol in the old name, and in its own is a newcomer who waits', async () => {
    const { desk, victim, record } = await taken();
    const before = await record();
    const clone = await SoftDevice.make(office.fleet, null);
    // The old request's bytes are on the disk as well; the credential that answers them is for the old TPM.
    const copied = await victim.request();
    await desk.desk.receive(victim.id, copied);
    await expect(prove(desk, clone, copied)).rejects.toThrow('not for this AK');
    await ask(desk, clone);
    expect(outcome(desk).outcome).toBe('pending');
    expect((await desk.registry.device(clone.id))?.state).toBe('pending');
    expect(await record()).toEqual(before);
  });
});

describe('the endorsement of a device', () => {
  test('is made once: the device that asks again hears the same one, byte for byte', async () => {
    const { desk, victim } = await taken();
    const first = (await desk.registry.device(victim.id))?.endorsement;
    for (let times = 0; times < 3; times++) {
      victim.loseDisk();
      await ask(desk, victim);
      expect(outcome(desk)).toMatchObject({ outcome: 'approved', endorsement: first });
    }
  });

  test('names keys that were in the proven request, whatever was asked before and after', async () => {
    const { desk, victim } = await taken();
    const endorsement = (await desk.registry.device(victim.id))?.endorsement ?? '';
    const opened = openStatement('endorsement', Buffer.from(endorsement), office.settings.trust.resultKeys);
    const { ekPublic, akPublic } = decodeEnrolRequest(await victim.request());
    expect(opened).toMatchObject({
      ekPublic: Buffer.from(ekPublic).toString('hex'),
      akPublic: Buffer.from(akPublic).toString('hex'),
    });
  });

  test('of a retired device comes back for the same keys never, by any number of requests', async () => {
    const { desk, victim } = await taken();
    await desk.registry.setState(victim.id, ['approved'], 'retired');
    for (let times = 0; times < 3; times++) {
      victim.loseDisk();
      await ask(desk, victim, { token: await desk.tokens.issue('line', Date.now() + 3_600_000) });
      expect(outcome(desk)).toMatchObject({ outcome: 'rejected', certificate: null, endorsement: null });
    }
  });
});
