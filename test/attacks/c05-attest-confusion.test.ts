// C5, attestations mistaken for each other: whatever else the attestation key can be made to sign is no quote.
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '../../src/bytes/wire.ts';
import { hash, sign } from '../../src/tpm/commands/signing.ts';
import { AK_HANDLE } from '../../src/tpm/attestation-key.ts';
import type { Quote } from '../../src/tpm/port.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { at, tpm2 } from '../support/tpm-bench.ts';
import { genuineEvents } from '../verifier/evidence-builder.ts';

const AK = `0x${AK_HANDLE.toString(16)}`;
let tpm: SoftwareTpm;
let facts: TpmFacts;

beforeAll(async () => {
  tpm = await startSoftwareTpm({ ekCertificates: false });
  facts = await withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    return factsOf(device);
  });
  await tpm2(tpm, 'nvdefine', '0x1500020', '-C', 'o', '-s', '32', '-a', 'ownerread|ownerwrite');
  await writeFile(at(tpm, 'nv'), Buffer.alloc(32, 1));
  await tpm2(tpm, 'nvwrite', '0x1500020', '-C', 'o', '-i', at(tpm, 'nv'));
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
});

/** Runs a tool that writes an attestation and its signature. */
async function made(tool: string, ...args: readonly string[]): Promise<Quote> {
  await tpm2(tpm, tool, ...args);
  return { attest: await readFile(at(tpm, 'attest')), signature: await readFile(at(tpm, 'sig')) };
}

const KINDS: readonly [kind: string, type: string, sign: (binding: string) => Promise<Quote>][] = [
  [
    'a certified key',
    '0x8017',
    async (binding) => {
      // TPM2_Certify takes no data of the caller's in this tool; the type alone must stop it.
      expect(binding).toHaveLength(64);
      return made('certify', '-c', AK, '-C', AK, '-g', 'sha256', '-o', 'attest', '-s', 'sig');
    },
  ],
  [
    'a certified NV index',
    '0x8014',
    async (binding) =>
      made(
        'nvcertify',
        '-C',
        AK,
        '-c',
        'o',
        '-g',
        'sha256',
        '-o',
        'sig',
        '--attestation',
        'attest',
        '--size',
        '32',
        '-q',
        binding,
        '0x1500020',
      ),
  ],
  [
    'the time',
    '0x8019',
    async (binding) => made('gettime', '-c', AK, '-g', 'sha256', '-q', binding, '-o', 'sig', '--attestation', 'attest'),
  ],
  [
    'a certified creation',
    '0x801a',
    async (binding) => {
      await tpm2(tpm, 'createprimary', '-C', 'o', '-c', 'p.ctx', '--creation-hash', 'ch', '-t', 'ticket');
      return made(
        'certifycreation',
        '-C',
        AK,
        '-c',
        'p.ctx',
        '-d',
        'ch',
        '-t',
        'ticket',
        '-g',
        'sha256',
        '-q',
        binding,
        '-o',
        'sig',
        '--attestation',
        'attest',
      );
    },
  ],
  [
    'a command audit',
    '0x8015',
    async (binding) =>
      made('getcommandauditdigest', '-c', AK, '-g', 'sha256', '-q', binding, '-s', 'sig', '-m', 'attest'),
  ],
  [
    'a session audit',
    '0x8016',
    async (binding) => {
      await tpm2(tpm, 'startauthsession', '-S', 's.ctx', '--audit-session');
      await tpm2(tpm, 'getrandom', '8', '-S', 's.ctx', '-o', 'random');
      try {
        return await made(
          'getsessionauditdigest',
          '-c',
          AK,
          '-g',
          'sha256',
          '-q',
          binding,
          '-s',
          'sig',
          '-m',
          'attest',
          '-S',
          's.ctx',
        );
      } finally {
        await tpm2(tpm, 'flushcontext', 's.ctx');
      }
    },
  ],
];

test('a quote over the same PCRs, with the same data, is accepted', async () => {
  const input = await withDevice(tpm, async (device) =>
    realEvidence(facts, async (binding) => device.quote(binding, SELECTION)),
  );
  expect(appraise(input).findings).toEqual([]);
  expect(appraise(input)).toMatchObject({ accepted: true, status: 'affirming' });
});

describe.each(KINDS)('%s, signed by the endorsed key with the right data,', (_, type, make) => {
  test('is no quote', async () => {
    const input = await realEvidence(facts, async (binding) => make(binding.toString('hex')));
    const appraisal = appraise(input);
    expect(appraisal).toMatchObject({ accepted: false, authentic: false, status: 'none', assurance: 'A0' });
    expect(appraisal.findings).toContainEqual(expect.objectContaining({ rule: 'quote-type', found: type }));
    expect(appraisal.findings.map(({ rule }) => rule)).not.toContain('quote-signature');
  });
});

describe('bytes of the attacker’s own', () => {
  /** TPM2_Hash gives a ticket for anything that does not begin like an attestation, and the restricted key then signs it. */
  async function signedBlob(blob: Buffer): Promise<Quote> {
    return withDevice(tpm, async (device) =>
      device.withParts(async ({ queue, ak }) => {
        const { digest, ticket } = await hash(queue, blob);
        return { attest: blob, signature: encode(TpmtSignature, await sign(queue, ak, digest, { ticket })) };
      }),
    );
  }

  test('are signed by the key when they are no attestation, and are none for the verifier', async () => {
    const input = await realEvidence(facts, async (binding) => {
      const quote = await withDevice(tpm, async (device) => device.quote(binding, SELECTION));
      const forged = Buffer.from(quote.attest);
      forged[0] = 0;
      return signedBlob(forged);
    });
    expect(appraise(input).findings.map(({ rule }) => rule)).toEqual(['quote-magic']);
    expect(appraise(input).accepted).toBe(false);
  });

  test('that begin like an attestation are not signed by the TPM at all', async () => {
    const forged = Buffer.concat([Buffer.from('ff5443478018', 'hex'), Buffer.alloc(139)]);
    await expect(signedBlob(forged)).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
  });
});
