// What somebody with the TPM at hand can have it sign in place of its version floors: none of it passes for them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { floorQualifyingData } from '../../src/evidence/binding.ts';
import type { Claims } from '../../src/evidence/claims.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import { certify, nvCertify } from '../../src/tpm/commands/attest.ts';
import { nvDefine, nvUndefine, nvWrite } from '../../src/tpm/commands/nv.ts';
import { defineFloors } from '../../src/tpm/floor/definition.ts';
import type { Quote } from '../../src/tpm/port.ts';
import { TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import type { TpmsNvPublic } from '../../src/tpm/wire/nv.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { Appraisal } from '../../src/verifier/types.ts';
import { fleet, FloorRig, floorKey, provision, raiseTo, rootKey } from '../support/floor-bench.ts';
import { extendEvents, factsOf, realEvidence, SELECTION } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { withProfile } from '../verifier/attack.ts';
import { build, digestOf, genuineEvents, reference } from '../verifier/evidence-builder.ts';

let software: SoftwareTpm;
let elsewhere: SoftwareTpm;
let rig: FloorRig;
let stranger: FloorRig;
let facts: TpmFacts;
/** As the device gets it, and what is to be certified for it. */
const challenge = decodeEvidence(build().evidence).challenge;
const binding = floorQualifyingData(challenge);

beforeAll(async () => {
  [software, elsewhere] = await Promise.all([
    startSoftwareTpm({ ekCertificates: false }),
    startSoftwareTpm({ ekCertificates: false }),
  ]);
  rig = await FloorRig.open(software);
  stranger = await FloorRig.open(elsewhere);
  await provision(rig.device);
  await provision(stranger.device);
  await rig.floors.raise(raiseTo(3n));
  await rig.floors.raise(raiseTo(7n, { slot: 1 }));
  await stranger.floors.raise(raiseTo(7n));
  await extendEvents(rig.device, genuineEvents);
  facts = await factsOf(rig.device);
});
afterAll(async () => {
  for (const one of [rig, stranger, software, elsewhere]) await one[Symbol.asyncDispose]();
});

/** The verdict on evidence of this TPM that claims `floor` and brings `certificate`. */
async function judged(floor: number, certificate: Quote): Promise<Appraisal> {
  const floors = [{ slot: 'main', floor }];
  const input = await realEvidence(facts, async (data) => rig.device.quote(data, SELECTION), {
    claims: (claims): Claims => ({
      ...claims,
      floors,
      floorCertificate: certificate,
    }),
    certificate: () => null,
    input: (genuine) => {
      const floored = withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, floor: 0 })) })(genuine);
      return { ...floored, reference: { ...floored.reference, floorIndex: fleet.floors.written } };
    },
  });
  return appraise(input);
}

const rulesOf = async (floor: number, certificate: Quote): Promise<string[]> =>
  (await judged(floor, certificate)).findings.map(({ rule }) => rule);

/** What the product itself has a TPM certify. */
async function honest(of: FloorRig, data: Buffer): Promise<Quote> {
  const made = await of.floors.certify(data);
  if (made === null) throw new TypeError('floors that are set are certified');
  return made.certificate;
}

async function certified(of: FloorRig, range: { size: number; offset?: number }, handle = fleet.floors.handle) {
  const index = { handle, name: fleet.floors.written };
  return of.device.withParts(async ({ queue, ak }) => nvCertify(queue, ak, index, index, binding, range));
}

/** Puts another index in the place of the floors while `work` runs: what whoever owns the TPM can do. */
async function inPlace<T>(publicArea: TpmsNvPublic, work: () => Promise<T>): Promise<T> {
  const { queue } = rig.device;
  const index = { handle: publicArea.nvIndex, name: fleet.floors.written };
  await nvUndefine(queue, index);
  await nvDefine(queue, publicArea);
  await nvWrite(queue, index, Buffer.concat([Buffer.from('0000000000000007', 'hex'), Buffer.alloc(56)]), {
    authHandle: TPM_RH.OWNER,
  });
  try {
    return await work();
  } finally {
    await nvUndefine(queue, index);
  }
}

test('the floors that this TPM certifies for this challenge are believed', async () => {
  const appraisal = await judged(3, await honest(rig, binding));
  expect(appraisal.findings).toEqual([]);
  expect(appraisal.next?.log).toMatchObject({ floors: [{ slot: 'main', floor: 3 }], floorsCertified: true });
});

describe('in place of the floors, which are 3 and 7, for a device that claims 7', () => {
  test('its own quote is no certificate', async () => {
    const quote = await rig.device.quote(binding, SELECTION);
    expect(await rulesOf(7, quote)).toEqual(['floor-certificate']);
  });

  test('a certified key is none', async () => {
    const key = await rig.device.withParts(async ({ queue, ak }) => certify(queue, ak, ak, binding));
    expect(await rulesOf(7, key)).toEqual(['floor-certificate']);
  });

  test('a true certificate of yesterday is none for today', async () => {
    const old = await honest(rig, floorQualifyingData(digestOf('yesterday')));
    expect(await rulesOf(3, old)).toEqual(['floor-certificate']);
  });

  test('a true certificate of another device, whose floor is 7, is none of this one', async () => {
    expect(await rulesOf(7, await honest(stranger, binding))).toEqual(['floor-certificate', 'floor-certificate']);
  });

  test('the floor of another slot, certified from where it lies, is not that of this slot', async () => {
    expect(await rulesOf(7, await certified(rig, { size: 56, offset: 8 }))).toEqual(['floor-range']);
    expect(await rulesOf(3, await certified(rig, { size: 8 }))).toEqual(['floor-range']);
  });

  test('the counter beside the floors is not the floors', async () => {
    const counter = await certified(rig, { size: 8 }, fleet.generation.handle);
    expect(await rulesOf(1, counter)).toEqual(expect.arrayContaining(['floor-index', 'floor-range']));
  });

  test('an honest certificate does not let it claim more', async () => {
    expect(await rulesOf(7, await honest(rig, binding))).toEqual(['floor-claims']);
  });

  // Last: the floors of this TPM are gone after it.
  test('an index of the same handle that its owner writes is another index', async () => {
    const { publicArea } = fleet.floors;
    const owned = { ...publicArea, attributes: (publicArea.attributes | TPMA_NV.ownerWrite) >>> 0 };
    const made = await inPlace(owned, async () => certified(rig, { size: 64 }));
    expect(await rulesOf(7, made)).toEqual(['floor-index']);
    const thief = defineFloors({ floor: rootKey.publicKey, root: floorKey.publicKey }).floors.publicArea;
    await nvDefine(rig.device.queue, publicArea);
    const policied = { ...thief, attributes: (thief.attributes | TPMA_NV.ownerWrite) >>> 0 };
    const again = await inPlace(policied, async () => certified(rig, { size: 64 }));
    expect(await rulesOf(7, again)).toEqual(['floor-index']);
  });
});
