// C6, quotes over something else: other banks, empty, larger, smaller and repeated selections, and PCRs that anybody can reset.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AK_HANDLE } from '../../src/tpm/attestation-key.ts';
import type { Quote } from '../../src/tpm/port.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { readFile } from 'node:fs/promises';
import { makeRecord } from '../../src/cel/record.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { at, tpm2 } from '../support/tpm-bench.ts';
import { signAttest } from '../verifier/attest-builder.ts';
import { build, genuineEvents } from '../verifier/evidence-builder.ts';
import type { AttestFields } from '../verifier/attest-builder.ts';
import { withProfile } from '../verifier/attack.ts';

const AK = `0x${AK_HANDLE.toString(16)}`;
let tpm: SoftwareTpm;
let facts: TpmFacts;

beforeAll(async () => {
  tpm = await startSoftwareTpm({ ekCertificates: false });
  facts = await withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    return factsOf(device);
  });
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
});

const found = (input: ReturnType<typeof build>): readonly string[] => appraise(input).findings.map(({ rule }) => rule);

/** A quote over a selection of the attacker's choice, as tpm2_quote makes it. */
async function quoteOver(selection: string, binding: Buffer): Promise<Quote> {
  await tpm2(
    tpm,
    'quote',
    '-c',
    AK,
    '-l',
    selection,
    '-q',
    binding.toString('hex'),
    '-m',
    'attest',
    '-s',
    'sig',
    '-g',
    'sha256',
  );
  return { attest: await readFile(at(tpm, 'attest')), signature: await readFile(at(tpm, 'sig')) };
}

describe('a TPM makes, and the verifier refuses, a quote over', () => {
  test.each<[string, string, string[]]>([
    ['a bank that is not active, which selects nothing', 'sha1:0,7,15', ['pcr-bank']],
    ['another bank that is not active', 'sha384:0,7,15', ['pcr-bank']],
    ['one PCR less', 'sha256:0,15', ['pcr-selection']],
    ['one PCR more', 'sha256:0,7,14,15', ['pcr-selection']],
    ['other PCRs with the same values', 'sha256:1,2,15', ['pcr-selection']],
    ['a PCR of the attacker’s instead of the event PCR', 'sha256:0,7,14', ['pcr-selection']],
  ])('%s', async (_, selection, expected) => {
    const input = await realEvidence(facts, async (binding) => quoteOver(selection, binding));
    expect(found(input)).toEqual(expect.arrayContaining(expected));
    expect(appraise(input)).toMatchObject({ accepted: false, status: 'contraindicated' });
  });

  test('the PCRs asked for in another order is the same quote', async () => {
    expect(found(await realEvidence(facts, async (binding) => quoteOver('sha256:15,7,0', binding)))).toEqual([]);
  });
});

describe('an event PCR that software can reset', () => {
  test.each([16, 23])('is refused although the log explains PCR %i', async (pcr) => {
    await withDevice(tpm, async (device) => {
      for (const event of genuineEvents) await device.extendPcr(pcr, makeRecord(1, pcr, event).digest);
    });
    const input = await realEvidence(
      facts,
      async (binding) =>
        withDevice(tpm, async (device) => device.quote(binding, { bank: 'sha256', pcrs: [0, 7, pcr] })),
      {
        eventPcr: pcr,
        records: (records) => records.map((record) => ({ ...record, pcr })),
        input: withProfile({ eventPcr: pcr }),
      },
    );
    expect(found(input)).toEqual(['pcr-resettable']);
  });

  test('can be set to any past that the attacker likes, which is why', async () => {
    await tpm2(tpm, 'pcrreset', '16');
    const [value] = await withDevice(tpm, async (device) => device.readPcrs({ bank: 'sha256', pcrs: [16] }));
    expect(value).toEqual(Buffer.alloc(32));
  });

  test('is not the one of the profile, which no local user resets', async () => {
    await expect(tpm2(tpm, 'pcrreset', '15')).rejects.toThrow(/0x907|locality|reset/i);
  });
});

describe('selections that no honest TPM makes are refused by their form', () => {
  const bent = (attest: (fields: AttestFields) => AttestFields): readonly string[] => found(build({ attest }));
  const bank = (alg: number, pcrs: readonly number[]): AttestFields['banks'][number] => ({ alg, pcrs });

  test.each<[string, AttestFields['banks'], string]>([
    ['none at all', [], 'pcr-bank'],
    ['an empty one', [bank(0x0b, [])], 'pcr-selection'],
    ['the right one twice', [bank(0x0b, [0, 7, 15]), bank(0x0b, [0, 7, 15])], 'pcr-bank'],
    ['the right one split in two', [bank(0x0b, [0, 7]), bank(0x0b, [15])], 'pcr-bank'],
    ['the right one beside one of SHA-1', [bank(0x0b, [0, 7, 15]), bank(0x04, [0])], 'pcr-bank'],
    ['17 banks', Array.from({ length: 17 }, () => bank(0x0b, [0])), 'quote-malformed'],
  ])('%s', (_, banks, rule) => {
    expect(bent((fields) => ({ ...fields, banks }))).toContain(rule);
  });

  test('a bitmap of 4 bytes', () => {
    const wide = (attest: Buffer): Buffer =>
      Buffer.from(attest.toString('hex').replace('000b03818000', '000b0481800000'), 'hex');
    const rules = found(build({ attestBytes: wide, signature: (attest) => signAttest(attest) }));
    expect(rules).toContain('quote-malformed');
  });

  test('the digest of nothing, as an empty selection gives it', () => {
    expect(
      bent((fields) => ({
        ...fields,
        banks: [bank(0x0b, [])],
        pcrDigest: Buffer.from('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'hex'),
      })),
    ).toContain('pcr-selection');
  });
});

test('the TPM’s own quote over what was asked is accepted', async () => {
  const input = await withDevice(tpm, async (device) =>
    realEvidence(facts, async (binding) => device.quote(binding, SELECTION)),
  );
  expect(found(input)).toEqual([]);
});
