// C1, an attestation key that is not of the endorsement key: only the TPM that holds both opens the credential, for these keys alone.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode } from '../../src/bytes/wire.ts';
import { createPrimary, flushContext } from '../../src/tpm/commands/objects.ts';
import { quote } from '../../src/tpm/commands/attest.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import type { TpmIdentity } from '../../src/tpm/port.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import { objectName, qualifiedName } from '../../src/tpm/wire/names.ts';
import { toTpmlPcrSelection } from '../../src/tpm/wire/pcr.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { genuineEvents } from '../verifier/evidence-builder.ts';

let tpm: SoftwareTpm;
let other: SoftwareTpm;
let identity: TpmIdentity;
let stranger: TpmIdentity;
let facts: TpmFacts;
const secret = randomBytes(32);

beforeAll(async () => {
  [tpm, other] = await Promise.all([
    startSoftwareTpm({ ekCertificates: false }),
    startSoftwareTpm({ ekCertificates: false }),
  ]);
  facts = await withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    return factsOf(device);
  });
  ({ identity } = facts);
  stranger = await withDevice(other, async (device) => device.identity());
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const nameOf = (publicArea: Uint8Array): Buffer => objectName(decode(TpmtPublic, publicArea));

/** What `by` opens of a credential made for these two keys; null when its TPM refuses. */
async function openedBy(by: SoftwareTpm, ekPublic: Uint8Array, akName: Uint8Array): Promise<Buffer | null> {
  const { credentialBlob, secret: encrypted } = makeCredential(decode(TpmtPublic, ekPublic), akName, secret);
  return withDevice(by, async (device) => device.activateCredential(credentialBlob, encrypted).catch(() => null));
}

describe('a credential', () => {
  test('opens in the TPM that has both keys', async () => {
    expect(await openedBy(tpm, identity.ekPublic, nameOf(identity.akPublic))).toEqual(secret);
  });

  test('for the attestation key of another TPM opens in neither', async () => {
    expect(await openedBy(tpm, identity.ekPublic, nameOf(stranger.akPublic))).toBeNull();
    expect(await openedBy(other, identity.ekPublic, nameOf(stranger.akPublic))).toBeNull();
  });

  test('for the endorsement key of another TPM does not open here', async () => {
    expect(await openedBy(tpm, stranger.ekPublic, nameOf(identity.akPublic))).toBeNull();
  });

  test('for the same key with one attribute less is for another key', async () => {
    const area = decode(TpmtPublic, identity.akPublic);
    const unrestricted = encode(TpmtPublic, { ...area, attributes: area.attributes & ~0x10000 });
    expect(await openedBy(tpm, identity.ekPublic, nameOf(unrestricted))).toBeNull();
  });
});

describe('after enrolment', () => {
  test('a quote by another key of the same TPM is by somebody else', async () => {
    const input = await withDevice(tpm, async (device) =>
      realEvidence(facts, async (binding) =>
        device.withParts(async ({ queue }) => {
          const key = await createPrimary(queue, TPM_RH.OWNER, AK_TEMPLATE);
          try {
            return await quote(queue, key, binding, toTpmlPcrSelection(SELECTION));
          } finally {
            await flushContext(queue, key);
          }
        }),
      ),
    );
    expect(appraise(input).findings.map(({ rule }) => rule)).toEqual(['quote-signature']);
  });

  test('the same key under another hierarchy is another by its qualified name, where enrolment names one', async () => {
    const input = await withDevice(tpm, async (device) =>
      realEvidence(facts, async (binding) => device.quote(binding, SELECTION)),
    );
    const owner = qualifiedName(TPM_RH.OWNER, identity.akName);
    const elsewhere = { ...input, endorsement: { ...input.endorsement, akQualifiedName: owner } };
    expect(appraise(input).findings).toEqual([]);
    expect(appraise(elsewhere).findings.map(({ rule }) => rule)).toEqual(['qualified-name']);
  });

  test('the verifier takes key and name from the one endorsement, and nothing of them from the evidence', async () => {
    const forged = await withDevice(other, async (device) =>
      realEvidence(facts, async (binding) => device.quote(binding, SELECTION)),
    );
    expect(appraise(forged).findings.map(({ rule }) => rule)).toEqual(['quote-signature']);
  });
});
