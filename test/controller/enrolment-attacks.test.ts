// Hostile enrolments: each fails by a rule's name, and would pass without just the check that stops it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromHex } from '../../src/bytes/text.ts';
import { decode, encode } from '../../src/bytes/wire.ts';
import { PROOF_CHECKS, REQUEST_CHECKS } from '../../src/controller/newcomer-checks.ts';
import { proofFindings, readNewcomer } from '../../src/controller/newcomer.ts';
import type { Newcomer } from '../../src/controller/newcomer.ts';
import { makeRequest } from '../../src/crypto/certificates.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { enrolQualifyingData } from '../../src/evidence/binding.ts';
import { decodeEnrolRequest, encodeEnrolProof } from '../../src/protocol/codec.ts';
import type { EnrolProof, EnrolRequest } from '../../src/protocol/messages.ts';
import type { EnrolmentRuleId } from '../../src/rules/enrolment-rules.ts';
import { TPM_ALG, TPM_ECC } from '../../src/tpm/wire/constants.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice, outcome, prove } from './desk.ts';
import type { Office } from './desk.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

const newDevice = async (): Promise<SoftDevice> => SoftDevice.make(office.fleet, null);

/** TPM_ALG_ECSCHNORR, Part 2, 6.3. */
const ECSCHNORR = 0x001c;

/** The device's own key with a field changed. */
async function akWith(device: SoftDevice, change: (ak: TpmtPublic) => TpmtPublic): Promise<Buffer> {
  const { akPublic } = await device.tpm.identity();
  return encode(TpmtPublic, change(decode(TpmtPublic, akPublic)));
}

/**
 * What a hostile newcomer changes, with the check that must stop it and the rule that it must name. The rule stands here and is not
 * read from the check: an attack that meets another rule, or none, is found whatever becomes of the check.
 */
type Hostile<Change> = readonly [check: string, rule: EnrolmentRuleId, change: Change];

const HOSTILE: readonly Hostile<(device: SoftDevice) => Promise<Partial<EnrolRequest>>>[] = [
  ['fleet', 'enrol-fleet', async () => Promise.resolve({ fleetId: Buffer.alloc(16, 1) })],
  [
    'id',
    'enrol-id',
    async () => {
      const id = 'abcdefghijklmnopqrstuvwxyz234567';
      return Promise.resolve({ deviceId: id, tlsCsr: makeRequest(id, generateKey('p256').privateKey) });
    },
  ],
  [
    'certificate-request',
    'enrol-request',
    async () => Promise.resolve({ tlsCsr: makeRequest('controller', generateKey('p256').privateKey) }),
  ],
  ['profile', 'enrol-profile', async () => Promise.resolve({ profileDigest: Buffer.alloc(32, 1) })],
  [
    'ak-attributes',
    'enrol-ak-attributes',
    async (device) => ({
      akPublic: await akWith(device, (ak) => ({ ...ak, attributes: ak.attributes & ~0x10000 })),
    }),
  ],
  [
    'ak-scheme',
    'enrol-ak-scheme',
    async (device) => ({
      akPublic: await akWith(device, (ak) => ({ ...ak, authPolicy: Buffer.alloc(32, 1) })),
    }),
  ],
];

/** Checks of a list that no attack is for. More attacks than checks are no matter: each must still meet its rule. */
const unattacked = (
  checks: readonly { readonly name: string }[],
  attacks: readonly Hostile<unknown>[],
): readonly string[] => checks.map(({ name }) => name).filter((name) => !attacks.some(([check]) => check === name));

describe('a hostile request', () => {
  it('is known for every check', () => {
    expect(unattacked(REQUEST_CHECKS, HOSTILE)).toEqual([]);
  });

  it.each(HOSTILE)('%s: refused by %s, and by nothing else', async (name, rule, change) => {
    const device = await newDevice();
    const bytes = await device.request(await change(device));
    const request = decodeEnrolRequest(bytes);
    const read = readNewcomer(request, office.settings, office.references, Date.now());
    expect('refused' in read ? read.refused.map((one) => one.rule) : 'not refused').toEqual([rule]);
    const without = REQUEST_CHECKS.filter((one) => one.name !== name);
    expect('newcomer' in readNewcomer(request, office.settings, office.references, Date.now(), without)).toBe(true);
    const desk = await openDesk(office);
    await desk.desk.receive(request.deviceId, bytes);
    expect(outcome(desk)).toMatchObject({ outcome: 'rejected' });
    expect(outcome(desk).reason).toContain(rule);
    expect(await desk.registry.devices()).toEqual([]);
  });

  type Ecc = Extract<TpmtPublic['area'], { type: 'ecc' }>;
  const ecc =
    (change: Partial<Ecc>) =>
    (ak: TpmtPublic): TpmtPublic => ({ ...ak, area: { ...(ak.area as Ecc), ...change } });
  const rsa = ({ symmetric, scheme }: Ecc): TpmtPublic['area'] => ({
    type: 'rsa',
    symmetric,
    scheme,
    keyBits: 2048,
    exponent: 0,
    modulus: Buffer.alloc(256, 0xff),
  });

  it.each<[string, (ak: TpmtPublic) => TpmtPublic]>([
    ['an RSA key', (ak) => ({ ...ak, area: rsa(ak.area as Ecc) })],
    ['a key of another curve', ecc({ curve: TPM_ECC.NIST_P384 })],
    ['a key of no scheme, which signs by any', ecc({ scheme: null })],
    ['a key of another scheme', ecc({ scheme: { scheme: ECSCHNORR, hash: TPM_ALG.SHA256 } })],
    ['a key that signs SHA-1', ecc({ scheme: { scheme: TPM_ALG.ECDSA, hash: TPM_ALG.SHA1 } })],
    ['a key with a name of SHA-1', (ak) => ({ ...ak, nameAlg: TPM_ALG.SHA1 })],
    ['a key that a policy lets others use', (ak) => ({ ...ak, authPolicy: Buffer.alloc(32, 1) })],
  ])('with %s for an attestation key is refused by its scheme', async (_, change) => {
    const device = await newDevice();
    const request = decodeEnrolRequest(await device.request({ akPublic: await akWith(device, change) }));
    const read = readNewcomer(request, office.settings, office.references, Date.now());
    expect('refused' in read ? read.refused.map(({ rule }) => rule) : []).toEqual(['enrol-ak-scheme']);
  });

  it('names a profile that the controller does not have', async () => {
    const device = await newDevice();
    const request = decodeEnrolRequest(await device.request({ profile: 'other' }));
    const read = readNewcomer(request, office.settings, office.references, Date.now());
    expect('refused' in read ? read.refused.map(({ rule }) => rule) : []).toEqual(['enrol-profile']);
  });

  it.each(['ekPublic', 'akPublic', 'tlsCsr'] as const)(
    'with %s of any bytes is refused and ends nothing',
    async (field) => {
      const desk = await openDesk(office);
      const device = await newDevice();
      const genuine = decodeEnrolRequest(await device.request())[field];
      for (let at = 0; at < genuine.length; at += 3) {
        const bent = Buffer.from(genuine);
        bent[at] = (bent[at] ?? 0) ^ 0x41;
        await desk.desk.receive(device.id, await device.request({ [field]: bent }));
        await desk.desk.receive(device.id, await device.request({ [field]: genuine.subarray(0, at) }));
      }
      expect(await desk.registry.devices()).toEqual([]);
    },
  );

  it('on the topic of another device, and what is no message at all, is not answered', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await desk.desk.receive('bcdefghijklmnopqrstuvwxyz234567a', await device.request());
    await desk.desk.receive(device.id, Buffer.from('hello'));
    expect(desk.sent).toEqual([]);
  });

  it('in the name of a known device, with another attestation key, is refused, shown and changes nothing', async () => {
    const desk = await openDesk(office);
    const [device, impostor] = [await newDevice(), new FakeTpm()];
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    const before = await desk.registry.device(device.id);
    const { akPublic } = await impostor.identity();
    for (let i = 0; i < 3; i++) await desk.desk.receive(device.id, await device.request({ akPublic }));
    expect(outcome(desk).reason).toContain('enrol-known-id');
    expect(await desk.registry.device(device.id)).toEqual(before);
    const refusals = (await desk.registry.history(device.id, 50)).filter(({ kind }) => kind === 'enrolment-refused');
    expect(refusals).toHaveLength(1);
  });

  it('in the name of a retired device is a newcomer’s again: its keys must be proven and approved anew', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    await desk.registry.setState(device.id, ['approved'], 'retired');
    await ask(desk, device);
    expect(outcome(desk)).toMatchObject({ outcome: 'rejected', reason: 'this device is retired' });
  });

  it('when a thousand wait already is refused', async () => {
    const desk = await openDesk(office, { countPending: async () => Promise.resolve(1000) });
    await ask(desk, await newDevice());
    expect(outcome(desk).reason).toContain('enrol-many');
    expect(await desk.registry.devices()).toEqual([]);
  });
});

/** What a hostile newcomer does to his proof. */
const FORGED: readonly Hostile<(device: SoftDevice, proof: EnrolProof) => Promise<Partial<EnrolProof>>>[] = [
  ['credential', 'enrol-credential', async () => Promise.resolve({ proof: Buffer.alloc(32, 1) })],
  [
    'quote-signature',
    'enrol-quote',
    async (_device, proof) => Promise.resolve({ signature: new FakeTpm().signAnything(proof.attest) }),
  ],
  [
    'quote-type',
    'enrol-quote',
    async (device, proof) =>
      Promise.resolve(
        device.tpm.attestAnything(enrolQualifyingData(proof.request), {
          type: 'certify',
          certify: { name: Buffer.alloc(34, 1), qualifiedName: Buffer.alloc(34, 1) },
        }),
      ),
  ],
  [
    'quote-signer',
    'enrol-quote',
    async (device, proof) => {
      const quote = { pcrSelect: [], pcrDigest: Buffer.alloc(32) };
      const qualifiedSigner = Buffer.alloc(34, 1);
      return Promise.resolve(
        device.tpm.attestAnything(enrolQualifyingData(proof.request), { type: 'quote', quote }, { qualifiedSigner }),
      );
    },
  ],
  [
    'quote-data',
    'enrol-quote',
    async (device) => device.tpm.quote(Buffer.alloc(32, 1), { bank: 'sha256', pcrs: [14] }),
  ],
];

describe('a forged proof', () => {
  it('is known for every check', () => {
    expect(unattacked(PROOF_CHECKS, FORGED)).toEqual([]);
  });

  it.each(FORGED)('%s: refused by %s, and by nothing else', async (name, rule, forge) => {
    const desk = await openDesk(office);
    const device = await newDevice();
    const request = await device.request();
    await desk.desk.receive(device.id, request);
    const honest = await prove(desk, device, request);
    const forged = { ...honest, ...(await forge(device, honest)) };
    const read = readNewcomer(decodeEnrolRequest(request), office.settings, office.references, Date.now());
    const { newcomer } = read as { newcomer: Newcomer };
    const kept = await desk.registry.credential(sha256(request));
    const sent = { request: sha256(request), secret: kept?.secret ?? Buffer.alloc(0) };
    expect(proofFindings(newcomer, forged, sent).map((one) => one.rule)).toEqual([rule]);
    const without = PROOF_CHECKS.filter((one) => one.name !== name);
    expect(proofFindings(newcomer, forged, sent, without)).toEqual([]);
    await desk.desk.receive(device.id, encodeEnrolProof(forged));
    expect(outcome(desk).reason).toContain(rule);
    expect(await desk.registry.devices()).toEqual([]);
    // The honest device is not shut out by what somebody else sent in its name.
    await desk.desk.receive(device.id, encodeEnrolProof(honest));
    expect(outcome(desk).outcome).toBe('pending');
  });

  it('that was good once counts once, and never for another request', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    const request = await device.request();
    await desk.desk.receive(device.id, request);
    const proof = encodeEnrolProof(await prove(desk, device, request));
    await desk.desk.receive(device.id, proof);
    const answers = desk.sent.length;
    await desk.desk.receive(device.id, proof);
    expect(desk.sent).toHaveLength(answers);
    const other = await device.request({ token: 'guess' });
    await desk.desk.receive(device.id, other);
    await desk.desk.receive(device.id, proof);
    expect(desk.sent).toHaveLength(answers + 1);
  });

  it('without a credential before it is not answered', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    const quote = await device.tpm.quote(Buffer.alloc(32), { bank: 'sha256', pcrs: [14] });
    const request = fromHex('00'.repeat(32));
    await desk.desk.receive(device.id, encodeEnrolProof({ v: 1, request, proof: Buffer.alloc(32), ...quote }));
    expect(desk.sent).toEqual([]);
  });
});
