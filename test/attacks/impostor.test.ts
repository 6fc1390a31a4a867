// An impostor on the device: root replays yesterday's good digests into the PCR with tpm2-tools and answers in the agent's name.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AK_HANDLE } from '../../src/tpm/attestation-key.ts';
import type { Quote } from '../../src/tpm/port.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, RowState } from '../../src/verifier/types.ts';
import { makeRecord } from '../../src/cel/record.ts';
import { extendEvents, factsOf, realEvidence, SELECTION, withDevice } from '../support/real-evidence.ts';
import type { TpmFacts } from '../support/real-evidence.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { at, tpm2 } from '../support/tpm-bench.ts';
import { digestOf, endorsement, EVENT_PCR, freshRow, genuineEvents } from '../verifier/evidence-builder.ts';
import { withClaims } from '../verifier/attack.ts';

const AK = `0x${AK_HANDLE.toString(16)}`;
let tpm: SoftwareTpm;
let facts: TpmFacts;
let yesterday: AppraisalInput;

/** As enrolment made it: a software TPM, which proves nothing of hardware. */
function asSoftware(input: AppraisalInput): AppraisalInput {
  const paper = { ...endorsement.endorsement, tier: 'software' } as const;
  return { ...input, endorsement: { ...input.endorsement, endorsement: paper } };
}

beforeAll(async () => {
  tpm = await startSoftwareTpm({ ekCertificates: false });
  yesterday = await withDevice(tpm, async (device) => {
    await extendEvents(device, genuineEvents);
    facts = await factsOf(device);
    return realEvidence(facts, async (binding) => device.quote(binding, SELECTION));
  });
  // Today: the machine was off, the PCRs are zero, and no agent runs.
  await tpm.restart({ clean: true });
  facts = await withDevice(tpm, factsOf);
  const digests = genuineEvents.map((event) => makeRecord(1, EVENT_PCR, event).digest.toString('hex'));
  for (const digest of digests) await tpm2(tpm, 'pcrextend', `${EVENT_PCR}:sha256=${digest}`);
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
});

async function toolQuote(binding: Buffer): Promise<Quote> {
  await tpm2(
    tpm,
    'quote',
    '-c',
    AK,
    '-l',
    'sha256:0,7,15',
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

test('yesterday’s evidence was good', () => {
  expect(appraise(yesterday).status).toBe('affirming');
});

describe('an impostor with the agent’s key, its old log and a TPM that agrees', () => {
  test('is found by the session that it does not have', async () => {
    const session = digestOf('impostor').subarray(0, 16);
    const appraisal = appraise(asSoftware(await realEvidence(facts, toolQuote, { claims: withClaims({ session }) })));
    expect(appraisal.findings.map(({ rule }) => rule)).toContain('agent-start');
    expect(appraisal).toMatchObject({ status: 'contraindicated', assurance: 'A0' });
  });

  test('who repeats the old session too is found by its being spent, and gets no better than warning and A0', async () => {
    const row = { ...freshRow, log: appraise(yesterday).next?.log ?? null };
    const appraisal = appraise(asSoftware(await realEvidence(facts, toolQuote, { row })));
    expect(appraisal).toMatchObject({ accepted: true, status: 'warning', assurance: 'A0' });
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['agent-start', 'tier-software']);
    expect(appraisal.findings[0]?.found).toMatch(/^agent start not explained/);
  });

  test('is still not explained in the next evidence, nor after the next reboot', async () => {
    const row = { ...freshRow, log: appraise(yesterday).next?.log ?? null };
    const first = appraise(await realEvidence(facts, toolQuote, { row })).next ?? freshRow;
    const startPcr = first.log?.pcr ?? Buffer.alloc(0);
    const second = await realEvidence(facts, toolQuote, { row: first, firstRecord: 4, startPcr, events: [] });
    expect(appraise(second).findings.map(({ rule }) => rule)).toEqual(['agent-start']);
    const log = first.log === null ? null : { ...first.log, epoch: { resetCount: 0, restartCount: 0 } };
    const rebooted = await realEvidence(facts, toolQuote, { row: { ...first, log } });
    expect(appraise(rebooted).findings.map(({ rule }) => rule)).toEqual(['agent-start']);
  });

  test('on hardware that measures its boot is found by the boot PCR that its kernel changed', async () => {
    const input = await realEvidence(facts, toolQuote);
    const bootPcrs = new Map([[0, new Set([digestOf('the owner’s firmware').toString('hex')])]]);
    const appraisal = appraise({ ...input, reference: { ...input.reference, bootPcrs } });
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['boot-pcr']);
    expect(appraisal).toMatchObject({ status: 'contraindicated', assurance: 'A1' });
  });

  test('who goes on with the controller’s log of before the restart is found by the epoch', async () => {
    const row: RowState = { ...freshRow, generation: 4, log: appraise(yesterday).next?.log ?? null };
    const input = await realEvidence(facts, toolQuote, { row, firstRecord: 4, events: [] });
    expect(appraise(input).findings.map(({ rule }) => rule)).toContain('log-start');
    expect(appraise(input)).toMatchObject({ accepted: false, status: 'contraindicated' });
  });

  test('who leaves out the agent’s start is found by what the log must begin with', async () => {
    const input = await realEvidence(facts, toolQuote, { events: genuineEvents.slice(0, 1) });
    expect(appraise(input).findings.map(({ rule }) => rule)).toEqual(['log-replay']);
  });
});
