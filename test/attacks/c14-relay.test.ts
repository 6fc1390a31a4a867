// C14, relays: evidence made by another TPM, for another device, another question or another channel is not this device's.
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { enrolQualifyingData } from '../../src/evidence/binding.ts';
import { deviceId as idOf } from '../../src/evidence/device-id.ts';
import { encodeEnrolRequest } from '../../src/protocol/codec.ts';
import type { EnrolRequest } from '../../src/protocol/messages.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { Quote } from '../../src/tpm/port.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { signAttest } from '../verifier/attest-builder.ts';
import { fleetId, genuineEvents } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';
import { cborVector } from '../vectors/vectors.ts';

let victim: SoftwareTpm;
let other: SoftwareTpm;
let victimFacts: TpmFacts;
let otherFacts: TpmFacts;

async function prepared(tpm: SoftwareTpm): Promise<TpmFacts> {
  return withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    return factsOf(device);
  });
}

beforeAll(async () => {
  [victim, other] = await Promise.all([
    startSoftwareTpm({ ekCertificates: false }),
    startSoftwareTpm({ ekCertificates: false }),
  ]);
  victimFacts = await prepared(victim);
  otherFacts = await prepared(other);
});
afterAll(async () => {
  await victim[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

/** The victim's question, answered by `tpm` with the victim's claims. */
async function answeredBy(tpm: SoftwareTpm, bend: Bend = {}): ReturnType<typeof realEvidence> {
  return withDevice(tpm, async (device: DeviceTpm) =>
    realEvidence(victimFacts, async (binding) => device.quote(binding, SELECTION), bend),
  );
}
const found = (input: AppraisalInput): readonly string[] => appraise(input).findings.map(({ rule }) => rule);

describe('the victim’s challenge', () => {
  test('answered by its own TPM is accepted', async () => {
    expect(found(await answeredBy(victim))).toEqual([]);
  });

  test('answered by a second TPM in the same state is signed by somebody else', async () => {
    const appraisal = appraise(await answeredBy(other));
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['quote-signature']);
    expect(appraisal).toMatchObject({ accepted: false, authentic: false, status: 'none' });
  });

  test('answered by a key of software that knows everything but the TPM’s key is signed by nobody', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const input = await withDevice(victim, async (device) =>
      realEvidence(victimFacts, async (binding) => {
        const { attest } = await device.quote(binding, SELECTION);
        return { attest, signature: signAttest(attest, privateKey) };
      }),
    );
    expect(found(input)).toEqual(['quote-signature']);
  });
});

describe('a genuine quote of the victim', () => {
  test('beside the claims, the log or the challenge of another moment binds neither', async () => {
    const input = await answeredBy(victim);
    const bends: readonly Bend[] = [
      { claims: (claims) => ({ ...claims, now: claims.now + 1 }) },
      { events: genuineEvents.slice(0, 2) },
      { challenge: (challenge) => ({ ...challenge, nonce: Buffer.alloc(16, 9) }) },
    ];
    const quote = await withDevice(victim, async (device) => {
      let kept: Quote = { attest: Buffer.alloc(0), signature: Buffer.alloc(0) };
      await realEvidence(victimFacts, async (binding) => (kept = await device.quote(binding, SELECTION)));
      return kept;
    });
    for (const bend of bends) {
      const forged = await realEvidence(victimFacts, async () => Promise.resolve(quote), bend);
      expect(found(forged)).toEqual(['qualifying-data']);
    }
    expect(found(input)).toEqual([]);
  });

  test('for another device’s challenge is refused before its signature is looked at', async () => {
    const input = await answeredBy(victim, { challenge: (challenge) => ({ ...challenge, deviceId: 'z'.repeat(32) }) });
    expect(found(input)).toEqual(['challenge-device']);
  });
});

describe('an enrolment', () => {
  const request = cborVector('enrol-request').value as EnrolRequest;
  const bound = (one: EnrolRequest): string => enrolQualifyingData(sha256(encodeEnrolRequest(one))).toString('hex');

  test('is bound to the key of its channel, its names and both of its TPM keys', () => {
    const others: readonly Partial<EnrolRequest>[] = [
      { tlsCsr: Buffer.from('the attacker’s key') },
      { deviceId: 'z'.repeat(32) },
      { ekPublic: Buffer.from('another EK') },
      { akPublic: Buffer.from('another AK') },
      { fleetId: Buffer.alloc(16) },
      { profileDigest: Buffer.alloc(32) },
      { token: 'another' },
    ];
    const all = [request, ...others.map((change) => ({ ...request, ...change }))].map(bound);
    expect(new Set(all).size).toBe(all.length);
  });

  test('of another TPM is another device by construction', () => {
    const ids = [victimFacts, otherFacts].map(({ identity }) => idOf(fleetId, sha256(identity.ekPublic)));
    expect(ids[0]).not.toBe(ids[1]);
  });

  test('is never taken for evidence, nor evidence for an enrolment', async () => {
    const input = await withDevice(victim, async (device) =>
      realEvidence(victimFacts, async () =>
        device.quote(enrolQualifyingData(sha256(encodeEnrolRequest(request))), SELECTION),
      ),
    );
    expect(found(input)).toEqual(['qualifying-data']);
  });
});
