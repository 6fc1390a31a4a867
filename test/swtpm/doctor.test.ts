// `touchstone tpm info` and `doctor` as a person calls them: on a software TPM, on a silent one, and without any.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeTpm } from '../../src/cli/tpm-probe.ts';
import { createPrimary } from '../../src/tpm/commands/objects.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { openQueue } from '../support/tpm-bench.ts';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

async function touchstone(...args: readonly string[]): Promise<Ran> {
  const env = { ...process.env, NO_COLOR: '1', TOUCHSTONE_TCTI: '' };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'tpm', ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

interface Said {
  readonly reached: boolean;
  readonly findings: readonly { readonly id: string; readonly level: string; readonly todo: string }[];
}

async function findings(...args: readonly string[]): Promise<{ code: number; said: Said }> {
  const { code, stdout } = await touchstone('doctor', '--json', ...args);
  return { code, said: JSON.parse(stdout) as Said };
}

let software: SoftwareTpm;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'doctor-'));
  software = await startSoftwareTpm();
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

describe('on a software TPM with certificates', () => {
  test('info says what it is, for people and for scripts', async () => {
    const forPeople = await touchstone('info', '--tcti', software.tcti);
    expect(forPeople.code).toBe(0);
    expect(forPeople.stdout).toMatch(/maker\s+IBM: IBM \(software TPM/);
    expect(forPeople.stdout).toMatch(/L-1 at 0x01c00002: CN=swtpm-localca/);
    const forScripts = await touchstone('info', '--json', '--tcti', software.tcti);
    expect(JSON.parse(forScripts.stdout)).toMatchObject({
      manufacturer: 'IBM',
      software: true,
      specification: { family: '2.0' },
      endorsementKey: { template: 'L-1', certified: true },
      missingCommands: [],
      handles: { transient: 0, sessions: 0 },
    });
  });

  test('the doctor finds that it works, and what a software TPM does not prove', async () => {
    const { code, said } = await findings('--tcti', software.tcti);
    expect(code).toBe(0);
    expect(said.reached).toBe(true);
    expect(said.findings.map(({ id }) => id)).toEqual(['software-tpm', 'ownership']);
  });

  test('the report holds neither certificates nor key Names unless they are asked for', async () => {
    const [quiet, telling] = [join(dir, 'quiet.json'), join(dir, 'telling.json')];
    const name = (
      JSON.parse((await touchstone('info', '--json', '--tcti', software.tcti)).stdout) as {
        endorsementKey: { name: string };
      }
    ).endorsementKey.name;
    await touchstone('doctor', '--tcti', software.tcti, '--report', quiet);
    const withheld = await readFile(quiet, 'utf8');
    expect(withheld).not.toContain(name);
    expect(withheld).not.toContain('BEGIN CERTIFICATE');
    expect(withheld).not.toContain(software.dir);
    expect(JSON.parse(withheld)).toMatchObject({
      v: 1,
      identifying: false,
      tcti: 'swtpm',
      tpm: { manufacturer: 'IBM' },
    });
    expect(withheld).toContain('not yet on a discrete one');
    await touchstone('doctor', '--tcti', software.tcti, '--report', telling, '--with-certificates');
    const told = await readFile(telling, 'utf8');
    expect(told).toContain(name);
    expect(told).toContain('BEGIN CERTIFICATE');
  });

  test('leftovers of a killed process are found, also when they fill the TPM, and left for the agent to flush', async () => {
    const killed = await openQueue(software);
    for (let count = 0; count < 3; count += 1) await createPrimary(killed, TPM_RH.OWNER, AK_TEMPLATE);
    await killed[Symbol.asyncDispose]();
    const { code, said } = await findings('--tcti', software.tcti);
    expect(code).toBe(1);
    expect(said.findings.map(({ id, level }) => [id, level])).toEqual(
      expect.arrayContaining([
        ['attestation-key', 'stops'],
        ['leaked', 'risk'],
      ]),
    );
    const device = await openDeviceTpm({ transport: await openSocketTransport({ path: software.socketPath }) });
    await device[Symbol.asyncDispose]();
    expect((await findings('--tcti', software.tcti)).code).toBe(0);
  });

  test('a TPM that was taken is no fault, and the profile says where its events go', async () => {
    await using other = await startSoftwareTpm({ ekCertificates: false });
    const device = await openDeviceTpm({ transport: await openSocketTransport({ path: other.socketPath }) });
    const value = Buffer.alloc(32, 3);
    await device.takeOwnership({ owner: value, endorsement: value, lockout: value });
    await device.extendPcr(13, Buffer.alloc(32, 1));
    await device[Symbol.asyncDispose]();
    const profile = join(import.meta.dirname, '..', '..', 'firmware-profiles', 'generic-linux.json');
    const { code, said } = await findings('--tcti', other.tcti, '--profile', profile);
    expect(code).toBe(0);
    expect(said.findings.map(({ id }) => id)).toEqual(['attestation-key', 'software-tpm', 'event-pcr']);
  });
});

describe('without a TPM that answers', () => {
  test('the doctor says where it looked and what to do, and ends with 3', async () => {
    const { code, said } = await findings('--tcti', 'swtpm:path=/nowhere/s');
    expect(code).toBe(3);
    expect(said).toMatchObject({ reached: false, findings: [{ id: 'swtpm-socket', level: 'stops' }] });
    const device = await findings('--tcti', 'device:/dev/tpmrm99');
    expect(device).toMatchObject({ code: 3, said: { findings: [{ id: 'device-node' }] } });
    const people = await touchstone('doctor', '--tcti', 'device:/dev/tpmrm99');
    expect(people.stdout).toContain('/dev/tpmrm99 does not exist');
    expect(people.stdout).toContain('to do: ');
  });

  test('info fails with 3 and sends to the doctor', async () => {
    const { code, stderr } = await touchstone('info', '--tcti', 'device:/dev/tpmrm99');
    expect(code).toBe(3);
    expect(stderr).toContain('touchstone tpm doctor');
  });

  test('the report is written all the same', async () => {
    const file = join(dir, 'unreached.json');
    await touchstone('doctor', '--tcti', 'device:/dev/tpmrm99', '--report', file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
      tpm: null,
      tcti: 'device:/dev/tpmrm99',
      findings: [{ id: 'device-node', level: 'stops' }],
    });
  });

  test('a TPM that takes commands and never answers does not hold the command up for ever', async () => {
    await using other = await startSoftwareTpm({ ekCertificates: false });
    other.suspend();
    const answer = await probeTpm(other.tcti, 300);
    expect(answer).toMatchObject({ code: 'TPM_TIMEOUT' });
  });
});
