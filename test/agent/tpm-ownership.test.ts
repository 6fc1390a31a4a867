// The TPM's auth values on a device: on the disk before the TPM has them, private, never shown, the same ever after.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ownershipValues } from '../../src/agent/tpm-ownership.ts';
import { authsInEffect } from '../../src/tpm/hierarchy-auth.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-auth-'));
afterAll(async () => rm(folder, { recursive: true }));

describe('the auth values of a TPM', () => {
  it('are made once, readable by the agent alone, and stay the same', async () => {
    const file = join(folder, 'a.json');
    const made = await ownershipValues(file, true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await ownershipValues(file, true)).toEqual(made);
    expect(new Set([made?.owner, made?.endorsement, made?.lockout].map((one) => one?.toString('hex'))).size).toBe(3);
    for (const value of Object.values(made ?? {})) expect(value.at(-1)).not.toBe(0);
  });

  it('are not made where the TPM is shared, and used where it was exclusive once', async () => {
    const file = join(folder, 'b.json');
    expect(await ownershipValues(file, false)).toBeNull();
    const made = await ownershipValues(file, true);
    expect(await ownershipValues(file, false)).toEqual(made);
  });

  it('are never told by the error about a damaged file', async () => {
    const file = join(folder, 'c.json');
    await ownershipValues(file, true);
    const text = await readFile(file, 'utf8');
    const secret = /"owner":"([0-9a-f]+)"/.exec(text)?.[1] ?? '';
    for (const damaged of [text.slice(0, -10), text.replace('"v":1', '"v":2'), text.replace(secret, `${secret}!`)]) {
      await writeFile(file, damaged);
      const error = await ownershipValues(file, true).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(secret.slice(0, 16));
    }
  });

  it('count only where the TPM has them set: a cleared TPM has empty ones again', () => {
    const auths = { owner: Buffer.from('o'), endorsement: Buffer.from('e'), lockout: Buffer.from('l') };
    const set = { ownerAuthSet: true, endorsementAuthSet: false, lockoutAuthSet: true };
    expect(authsInEffect(auths, set)).toEqual({ owner: auths.owner, lockout: auths.lockout });
    expect(authsInEffect({}, set)).toEqual({});
  });
});
