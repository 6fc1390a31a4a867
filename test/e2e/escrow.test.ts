// A device that lost its disk, on the real parts: its TPM obeys it again by what the fleet keeps, which the controller cannot read.
import { cp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Theatre } from '../../src/demo/theatre.ts';
import type { Stage } from '../../src/testing/stage.ts';
import { enrolledTheatre } from '../support/enrolled-theatre.ts';

let stage: Stage;
let theatre: Theatre;

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre());
  await theatre.agent.says(/the fleet keeps the auth values of this TPM/);
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Every file under a folder as one. */
async function everything(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  return Buffer.concat(await Promise.all(files.map(async (file) => readFile(file))));
}

test(
  'the auth values of a TPM outlive the disk of its device, in a form that only the escrow key opens',
  { timeout: 180_000 },
  async () => {
    const values = await readFile(`${theatre.deviceState}/tpm-auth.json`);
    const { owner } = JSON.parse(values.toString()) as { owner: string };
    const held = await everything(theatre.controllerState);
    expect(held.includes(owner) || held.includes(Buffer.from(owner, 'hex'))).toBe(false);
    expect(theatre.agent.lines.some((line) => line.includes(owner))).toBe(false);

    // The disk is lost: a new one knows nothing of the TPM that it comes to.
    const { deviceId } = theatre;
    await theatre.cutPower();
    await rm(theatre.deviceState, { recursive: true });
    await expect(theatre.powerOn()).rejects.toThrow(/ended/);
    await theatre.swtpm.end('SIGKILL');
    await rm(theatre.deviceState, { recursive: true });

    const sealed = stage.path('sealed.json');
    await theatre.must('device', 'escrow', deviceId, '--state', theatre.controllerState, '--out', sealed);
    const key = ['--key', stage.path('fleet/root/floor.key.pem')];
    const wrong = await theatre.cli('device', 'escrow', '--sealed', sealed, '--out', stage.path('wrong'), ...key);
    expect([wrong.code, wrong.stderr]).toEqual([3, expect.stringContaining('is sealed to key')]);
    const opened = stage.path('opened.json');
    const right = ['--key', stage.path('fleet/root/escrow.key.pem')];
    await theatre.must('device', 'escrow', '--sealed', sealed, '--out', opened, ...right);
    expect(await readFile(opened)).toEqual(values);
    expect((await stat(opened)).mode & 0o777).toBe(0o600);

    await cp(opened, `${theatre.deviceState}/tpm-auth.json`);
    await theatre.powerOn();
    expect(theatre.deviceId).toBe(deviceId);
  },
);
