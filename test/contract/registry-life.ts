// What every Registry does beside the daily work: its lives, what it keeps without being able to read it, and certificates.
import { expect, test } from 'vitest';
import type { IssuedCertificate, Registry } from '../../src/controller/registry.ts';
import { acceptanceOf, enter, ID, OTHER } from './registry.ts';

/** `make` gives the means to open one registry again and again. */
export function registryLifeContract(name: string, make: () => Promise<() => Promise<Registry>>): void {
  test(`${name}: a life ends once, whoever notices first, with a line for every device and orders above all before`, async () => {
    await using registry = await (await make())();
    expect(await registry.standing()).toEqual({ life: null, accepted: 0, newest: null });
    await enter(registry, ID);
    const before = await registry.nextOrder(ID, 'main');
    const [next, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    expect(await registry.beginLife(null, next, 5000, 'put back')).toBe(true);
    expect(await registry.beginLife(null, other, 6000, 'put back')).toBe(false);
    expect(await registry.standing()).toMatchObject({ life: next, newest: 5000 });
    expect((await registry.history(ID, 5)).map(({ kind, text }) => [kind, text])).toEqual([['restored', 'put back']]);
    expect(await registry.nextOrder(ID, 'main')).toBeGreaterThan(5000 + before - 1);
    expect(await registry.nextOrder(ID, 'other')).toBe(5001);
  });

  test(`${name}: what a device gives into escrow is kept with the evidence that brings it, and replaces what it gave before`, async () => {
    await using registry = await (await make())();
    await enter(registry, ID);
    const escrow = Buffer.from('sealed');
    expect(await registry.accept([acceptanceOf(ID, 7, { escrow })])).toEqual([false]);
    expect(await registry.escrow(ID)).toBeNull();
    await registry.accept([acceptanceOf(ID, 0, { escrow }), acceptanceOf(ID, 1)]);
    expect(await registry.escrow(ID)).toEqual({ at: 1000, bytes: escrow });
    await registry.accept([acceptanceOf(ID, 2, { escrow: Buffer.from('anew') })]);
    expect((await registry.escrow(ID))?.bytes).toEqual(Buffer.from('anew'));
  });

  test(`${name}: what a device is measured by begins anew where nothing newer was accepted, and nothing judged before counts after`, async () => {
    await using registry = await (await make())();
    await enter(registry, ID);
    await registry.accept([acceptanceOf(ID, 0)]);
    const row = (await registry.device(ID))?.row;
    if (row?.log === undefined || row.log === null) throw new Error('it was accepted');
    const tpmLife = new Uint8Array(32).fill(3);
    const next = { generation: 2, log: { ...row.log, tpmLife }, clock: 0n, maxResetCount: 0 };
    expect([await registry.putRow(ID, 0, next), await registry.putRow(ID, 1, next)]).toEqual([false, true]);
    expect(await registry.accept([acceptanceOf(ID, 1)])).toEqual([false]);
    const after = await registry.device(ID);
    expect(after).toMatchObject({ row: { generation: 2, clock: 0n, maxResetCount: 0 }, verdict: { at: 1000 } });
    expect(Buffer.from(after?.row.log?.tpmLife ?? [])).toEqual(Buffer.from(tpmLife));
    expect(await registry.putRow(OTHER, 0, next)).toBe(false);
  });

  test(`${name}: certificates are of those who are in, end by themselves, and are taken back with their device, however close`, async () => {
    const open = await make();
    await using registry = await open();
    await using second = await open();
    const day = 86_400_000;
    const certificate = (serial: string, device: string, notAfter = 100 * day): IssuedCertificate => {
      return { serial, device, key: 'aa', notAfter, pem: `pem ${serial}` };
    };
    await enter(registry, ID);
    await enter(registry, OTHER, 'pending');
    expect(await registry.addCertificate(certificate('01', OTHER), day)).toBe(false);
    expect(await registry.addCertificate(certificate('02', ID), day)).toBe(true);
    expect(await registry.addCertificate(certificate('03', ID, 50 * day), day)).toBe(true);
    expect((await registry.certificates(ID, day)).map(({ serial }) => serial)).toEqual(['03', '02']);
    expect(await registry.certificates(ID, 60 * day)).toEqual([certificate('02', ID)]);
    const [retired] = await Promise.all([
      registry.setState(ID, ['approved'], 'retired'),
      ...['04', '05', '06', '07', '08', '09'].map(async (serial) =>
        second.addCertificate(certificate(serial, ID), day),
      ),
    ]);
    expect(retired).toBe(true);
    expect(await second.certificates(ID, day)).toEqual([]);
    expect(await registry.revokedCertificates(day)).toEqual(expect.arrayContaining(['02', '03']) as string[]);
    expect(await registry.addCertificate(certificate('10', ID), day)).toBe(false);
  });

  test(`${name}: one certificate is taken back alone, whether or not it is known, and one of nobody counts for nobody`, async () => {
    await using registry = await (await make())();
    const day = 86_400_000;
    await enter(registry, ID);
    for (const serial of ['02', '03']) {
      await registry.addCertificate({ serial, device: ID, key: 'aa', notAfter: 100 * day, pem: 'pem' }, day);
    }
    const taken = async (serial: string): Promise<string | null> => registry.revokeCertificate(serial, 50 * day);
    expect([await taken('02'), await taken('AB'), await taken('AB')]).toEqual([ID, null, null]);
    expect(await registry.revokedCertificates(day)).toEqual(['02', 'AB']);
    expect((await registry.certificates(ID, day)).map(({ serial }) => serial)).toEqual(['03']);
    expect(await registry.certificates('', day)).toEqual([]);
  });
}
