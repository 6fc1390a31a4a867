// An auditor who was not there: the record of a device's evidence gives the same verdict without the fleet, and a token tells other systems.
import { createPublicKey, verify } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enrolledDevice } from '../../src/testing/enrolled-device.ts';
import type { EnrolledDevice } from '../../src/testing/enrolled-device.ts';

let device: EnrolledDevice;
let state: string;
let auditor: string;

beforeAll(async () => {
  device = await enrolledDevice();
  const { stage } = device.sandbox;
  state = device.sandbox.controllerState;
  auditor = stage.path('auditor');
  await mkdir(auditor);
  await copyFile(stage.path('fleet/device/fleet.json'), `${auditor}/fleet.json`);
  const release = await device.release();
  await device.install(release);
}, 120_000);
afterAll(async () => device[Symbol.asyncDispose]());

interface Verified {
  readonly genuine: boolean;
  readonly findings: readonly { readonly rule: string }[];
  readonly verdict: { readonly status: string; readonly assurance: string } | null;
}

async function verified(file: string): Promise<{ readonly code: number | null; readonly said: Verified }> {
  const { code, stdout } = await device.touchstone('evidence', 'verify', file, '--fleet', auditor, '--json');
  return { code, said: JSON.parse(stdout) as Verified };
}

test(
  'a record is judged again offline, good and bad, and an edited one is worth nothing',
  { timeout: 120_000 },
  async () => {
    const good = `${auditor}/good.json`;
    expect(
      (await device.touchstone('evidence', 'record', device.sandbox.deviceId, '--state', state, '--out', good)).code,
    ).toBe(0);
    const bad = `${auditor}/bad.json`;
    const tampered = await device.tamper();
    await device.attest(({ verdict }) => verdict?.status === 'contraindicated', 'the changed file');
    expect(
      (await device.touchstone('evidence', 'record', device.sandbox.deviceId, '--state', state, '--out', bad)).code,
    ).toBe(1);
    await tampered.restore();

    // A software TPM: trusted with a warning, and no better.
    expect(await verified(good)).toMatchObject({
      code: 0,
      said: { genuine: true, verdict: { status: 'warning', assurance: 'A0' } },
    });
    expect(await verified(bad)).toMatchObject({
      code: 1,
      said: { genuine: true, verdict: { status: 'contraindicated' } },
    });

    const [goodFile, badFile] = await Promise.all(
      [good, bad].map(async (file) => JSON.parse(await readFile(file, 'utf8')) as object),
    );
    await writeFile(
      `${auditor}/forged.json`,
      JSON.stringify({ ...badFile, result: (goodFile as { result: unknown }).result }),
    );
    expect(await verified(`${auditor}/forged.json`)).toMatchObject({
      code: 1,
      said: { genuine: false, findings: [{ rule: 'record-verdict' }], verdict: null },
    });
  },
);

test(
  'a token of the verdict is signed by the key that the fleet root names for results',
  { timeout: 60_000 },
  async () => {
    const { code, stdout } = await device.touchstone('device', 'ear', device.sandbox.deviceId, '--state', state);
    expect(code).toBe(0);
    const [head, claims, signature] = stdout.trim().split('.');
    const pem = await readFile(`${state}/keys/result.key.pem`, 'utf8');
    const text = Buffer.from(`${head}.${claims}`);
    const key = { key: createPublicKey(pem), dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', text, key, Buffer.from(signature ?? '', 'base64url'))).toBe(true);
    expect(JSON.parse(Buffer.from(claims ?? '', 'base64url').toString('utf8'))).toMatchObject({
      eat_profile: 'tag:github.com,2023:veraison/ear',
      submods: { device: { 'ear.status': 'warning', 'touchstone.assurance': 'A0' } },
    });
  },
);
