// The owner's references for booting, from a controller's folder to the verdict: what they allow, and what assurance they give.
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { learnBoot } from '../../src/boot/learn.ts';
import { replayFirmwareLog } from '../../src/boot/pcr-replay.ts';
import type { BootReferenceFile } from '../../src/boot/reference-file.ts';
import { toHex } from '../../src/bytes/text.ts';
import { loadBootReferences } from '../../src/controller/boot-references.ts';
import type { BootReferences } from '../../src/controller/boot-references.ts';
import { loadReferences } from '../../src/controller/references.ts';
import { TouchstoneError } from '../../src/errors.ts';
import { loadTrust } from '../../src/release/root.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { Appraisal } from '../../src/verifier/types.ts';
import { firmwareLog, HONEST, sha256 } from '../boot/log-builder.ts';
import { makeTestFleet, TEST_PROFILE } from '../support/fleet.ts';
import { build, components } from '../verifier/evidence-builder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'references-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const profile = TEST_PROFILE;
const log = readFirmwareLog(firmwareLog(...HONEST));
const golden = replayFirmwareLog(log);
const { pcrs } = learnBoot({ log, ima: null, pcrs: golden, wanted: profile.tpm.bootPcrs });

const hexComponents = {
  agent: toHex(components.agent),
  node: toHex(components.node),
  profile: toHex(components.profile),
  trust: toHex(components.trust),
  runtime: null,
  gateMode: components.gateMode,
};
const file: BootReferenceFile = {
  v: 1,
  profile: profile.id,
  bank: 'sha256',
  coversAgent: true,
  boots: [{ name: 'golden', pcrs }],
  components: [hexComponents],
};

let count = 0;
/** What the controller takes from a folder with this file. */
function load(content: unknown): BootReferences {
  const own = join(folder, String(count++));
  mkdirSync(own);
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  writeFileSync(join(own, `${profile.id}.json`), text);
  return loadBootReferences(own, profile);
}

/** Genuine evidence of a device with these boot PCRs, judged by these references. */
function judge(references: BootReferences, values: readonly Buffer[]): Appraisal {
  return appraise(
    build({
      claims: (claims) => ({ ...claims, bootPcrs: values }),
      pcrValues: ([, , event = Buffer.alloc(0)]) => [...values, event],
      input: (input) => ({ ...input, reference: { ...input.reference, ...references } }),
    }),
  );
}

const goldenValues = profile.tpm.bootPcrs.map((pcr) => golden.get(pcr) ?? Buffer.alloc(0));
const changed = readFirmwareLog(firmwareLog({ pcr: 0, type: 8, data: Buffer.from('2.0') }, ...HONEST.slice(1)));
const changedValues = profile.tpm.bootPcrs.map((pcr) => replayFirmwareLog(changed).get(pcr) ?? Buffer.alloc(0));

describe('a device that booted as the golden one did', () => {
  test('is affirming at A2', () => {
    expect(judge(load(file), goldenValues)).toMatchObject({ status: 'affirming', assurance: 'A2' });
  });

  test.each<[string, unknown]>([
    ['the owner does not say that the PCRs cover the agent', { ...file, coversAgent: false }],
    ['its software is not pinned', { ...file, components: null }],
    ['one of the profile’s boot PCRs has no reference', { ...file, boots: [{ name: 'x', pcrs: { 0: pcrs['0'] } }] }],
  ])('is at A1 when %s', (_, content) => {
    expect(judge(load(content), goldenValues)).toMatchObject({ status: 'affirming', assurance: 'A1' });
  });

  test('is contraindicated when its software is another than the golden device’s', () => {
    const references = load({ ...file, components: [{ ...hexComponents, agent: 'a'.repeat(64) }] });
    const appraisal = judge(references, goldenValues);
    expect(appraisal).toMatchObject({ status: 'contraindicated', assurance: 'A1' });
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['components']);
  });
});

describe('a device that booted otherwise', () => {
  test('is contraindicated, and never better than A1', () => {
    const appraisal = judge(load(file), changedValues);
    expect(appraisal).toMatchObject({ status: 'contraindicated', assurance: 'A1' });
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['boot-pcr']);
  });

  test('is affirming once its boot was learned too, and so is the one before', () => {
    const learned = learnBoot({ log: changed, ima: null, pcrs: null, wanted: profile.tpm.bootPcrs });
    const both = load({ ...file, boots: [{ name: 'next', pcrs: learned.pcrs }, ...file.boots] });
    for (const values of [goldenValues, changedValues]) {
      expect(judge(both, values)).toMatchObject({ status: 'affirming', assurance: 'A2' });
    }
  });

  test('would be affirming if nobody had references: the check is what stops it', () => {
    const none = loadBootReferences(join(folder, 'nothing'), profile);
    expect(none).toEqual({ components: null, bootPcrs: new Map(), bootCoversAgent: false });
    expect(judge(none, changedValues)).toMatchObject({ status: 'affirming', assurance: 'A1' });
  });
});

describe('a reference file', () => {
  test.each<[string, unknown]>([
    ['is not JSON', '{'],
    ['has an unknown field', { ...file, more: true }],
    ['is of another profile', { ...file, profile: 'other' }],
  ])('that %s is an error, so that less than was written down is never judged by', (_, content) => {
    expect(() => load(content)).toThrow(TouchstoneError);
  });

  test('that cannot be read is one too', () => {
    const own = join(folder, 'unreadable');
    mkdirSync(join(own, `${profile.id}.json`), { recursive: true });
    expect(() => loadBootReferences(own, profile)).toThrow(TouchstoneError);
  });

  test('adds nothing for a PCR that the profile does not quote', () => {
    const references = load({ ...file, boots: [{ name: 'x', pcrs: { ...pcrs, 4: toHex(sha256(Buffer.from('4'))) } }] });
    expect([...references.bootPcrs.keys()]).toEqual(profile.tpm.bootPcrs);
  });
});

describe('a controller', () => {
  test('takes the references of each profile from its folder, and judges by no profile whose references are broken', async () => {
    await using fleet = await makeTestFleet();
    const read = (name: string): Buffer => readFileSync(join(fleet.controllerDir, name));
    const trust = loadTrust(read('fleet.json'), read('root.json'), Date.now(), 0);
    const path = join(fleet.controllerDir, 'references', `${profile.id}.json`);
    expect(loadReferences(fleet.controllerDir, trust).of(profile.id)).toMatchObject({ bootCoversAgent: false });
    writeFileSync(path, JSON.stringify(file));
    const known = loadReferences(fleet.controllerDir, trust).of(profile.id);
    expect(known).toMatchObject({ bootCoversAgent: true, components: [{ gateMode: 'none' }] });
    expect(known?.bootPcrs.get(0)).toEqual(new Set([pcrs['0']]));
    writeFileSync(path, '{');
    const broken = loadReferences(fleet.controllerDir, trust);
    expect(broken.of(profile.id)).toBeNull();
    expect(broken.faults.join('\n')).toContain(path);
  });
});
