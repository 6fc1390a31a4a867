// Enrolment as the device sees it: lost, doubled, foreign and hostile messages included.
import { createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Enrolment } from '../../src/agent/enrolment.ts';
import { decode } from '../../src/bytes/wire.ts';
import { hmacSha256, sha256 } from '../../src/crypto/digest.ts';
import { enrolQualifyingData } from '../../src/evidence/binding.ts';
import { decodeEnrolProof, encodeEnrolCredential, encodeEnrolOutcome } from '../../src/protocol/codec.ts';
import type { EnrolOutcome } from '../../src/protocol/messages.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';

const request = Buffer.from('the request, exact bytes');
const digest = sha256(request);
const secret = Buffer.alloc(32, 7);

async function device(isOurs = true) {
  const tpm = new FakeTpm();
  const sent: Buffer[] = [];
  const enrolment = new Enrolment({
    tpm,
    selection: { bank: 'sha256', pcrs: [14] },
    request,
    isOurs: () => isOurs,
    send: async (message) => {
      sent.push(message);
      await Promise.resolve();
    },
  });
  const { ekPublic, akName } = await tpm.identity();
  const credential = (forRequest: Buffer, name: Buffer = akName): Buffer =>
    encodeEnrolCredential({ v: 1, request: forRequest, ...makeCredential(decode(TpmtPublic, ekPublic), name, secret) });
  return { tpm, sent, enrolment, credential };
}

const outcome = (changes: Partial<EnrolOutcome>): Buffer =>
  encodeEnrolOutcome({
    v: 1,
    request: digest,
    outcome: 'approved',
    reason: 'because',
    endorsement: '{}',
    certificate: 'PEM',
    ...changes,
  });

describe('enrolment', () => {
  it('sends the same request however often it starts', async () => {
    const { enrolment, sent } = await device();
    await enrolment.start();
    await enrolment.start();
    expect(sent).toEqual([request, request]);
  });

  it('proves that it could open the credential, with a quote over the request', async () => {
    const { enrolment, sent, credential } = await device();
    expect(await enrolment.receive(credential(digest))).toEqual({ at: 'proving' });
    const proof = decodeEnrolProof(sent[0] ?? Buffer.alloc(0));
    expect(Buffer.from(proof.proof)).toEqual(hmacSha256(createSecretKey(secret), digest));
    expect(decode(TpmsAttest, proof.attest).extraData).toEqual(enrolQualifyingData(digest));
  });

  it('answers a credential again, because its first answer may be lost', async () => {
    const { enrolment, sent, credential } = await device();
    await enrolment.receive(credential(digest));
    await enrolment.receive(credential(digest));
    expect(sent).toHaveLength(2);
  });

  it.each([
    [
      'for another request',
      async (): Promise<[Awaited<ReturnType<typeof device>>, Buffer]> => {
        const one = await device();
        return [one, one.credential(sha256(Buffer.from('other')))];
      },
    ],
    [
      'that this TPM refuses',
      async (): Promise<[Awaited<ReturnType<typeof device>>, Buffer]> => {
        const one = await device();
        return [one, one.credential(digest, Buffer.alloc(34, 1))];
      },
    ],
    [
      'that is no message at all',
      async (): Promise<[Awaited<ReturnType<typeof device>>, Buffer]> => [await device(), Buffer.from('x')],
    ],
  ])('sends no proof for a credential %s', async (_title, make) => {
    const [{ enrolment, sent }, message] = await make();
    expect(await enrolment.receive(message)).toEqual({ at: 'asking' });
    expect(sent).toEqual([]);
  });

  it('waits when it is pending and takes the approval that follows', async () => {
    const { enrolment } = await device();
    expect(await enrolment.receive(outcome({ outcome: 'pending', endorsement: null, certificate: null }))).toEqual({
      at: 'pending',
      reason: 'because',
    });
    expect(await enrolment.receive(outcome({}))).toEqual({ at: 'approved', endorsement: '{}', certificate: 'PEM' });
  });

  it('takes no endorsement that no result key of the root signed for it', async () => {
    const { enrolment } = await device(false);
    expect((await enrolment.receive(outcome({}))).at).toBe('asking');
  });

  it('takes no outcome of another request, and no approval without papers', async () => {
    const { enrolment } = await device();
    await enrolment.receive(outcome({ request: Buffer.alloc(32) }));
    expect((await enrolment.receive(outcome({ certificate: null }))).at).toBe('asking');
  });
});
