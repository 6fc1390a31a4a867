// A device goes from root statement to root statement by chain, keeps the newest over restarts and power cuts, and never goes back.
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RootKeeper } from '../../src/agent/root-keeper.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import type { FleetFile, RootStatement } from '../../src/release/types.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { fleetFile, jsonBytes, named, NOW, rootKeys, rootStatement } from '../release/publisher.ts';

const [one, two] = rootKeys as [KeyObject, KeyObject];
const four = generateKey('p256').privateKey;

function said(version: number, changes: Partial<RootStatement> = {}, ...keys: KeyObject[]): DsseEnvelope {
  return signRoot({ ...rootStatement, version, ...changes }, keys.length > 0 ? keys : [one, two]);
}

const moved = { root: { threshold: 1, keys: [named(four)] } };
const shipped = said(1);
const second = said(2, moved, one, two, four);
const third = said(3, moved, four);

class Device {
  readonly journal: MemoryJournal = new MemoryJournal();
  readonly lines: string[] = [];

  async start(root: DsseEnvelope[] = [shipped], fleet: FleetFile = fleetFile): Promise<RootKeeper> {
    return RootKeeper.open({
      journal: this.journal,
      log: { write: (_level, event, message) => this.lines.push(`${event}: ${message}`) },
      fleetFile: jsonBytes(fleet),
      rootFile: encodeRootFile(root),
      now: () => NOW,
    });
  }
}

describe('a root statement on a device', () => {
  test('is taken when it follows, several at once, and is there after a restart', async () => {
    const device = new Device();
    const keeper = await device.start();
    expect(await keeper.take(encodeRootFile([shipped, second, third]))).toBe(true);
    expect(keeper.trust.version).toBe(3);
    expect(await keeper.take(encodeRootFile([shipped, second, third]))).toBe(false);
    expect((await device.start()).trust.version).toBe(3);
    expect(device.lines).toEqual(['root: root statement 1 → 3']);
  });

  test('is ignored and named when it does not follow, whoever sent it', async () => {
    const device = new Device();
    const keeper = await device.start();
    for (const bytes of [Buffer.from('x'), encodeRootFile([third]), encodeRootFile([said(9, {}, one)])]) {
      expect(await keeper.take(bytes)).toBe(false);
    }
    expect(keeper.trust.version).toBe(1);
    expect(device.lines.every((line) => line.startsWith('root-ignored: '))).toBe(true);
    expect(device.lines).toHaveLength(3);
  });

  test('is never an older one again: not from the wire, and not from older firmware', async () => {
    const device = new Device();
    const keeper = await device.start([shipped, second, third]);
    expect(await keeper.take(encodeRootFile([shipped]))).toBe(false);
    expect((await device.start([shipped])).trust.version).toBe(3);
    await device.journal.put('root-chain', null);
    await expect(device.start([shipped])).rejects.toThrow(/root statement 1, and this device has seen 3/);
    expect((await device.start([shipped, second, third])).trust.version).toBe(3);
  });

  test('of newer firmware counts at once, even where its fleet.json starts at the keys of today', async () => {
    const device = new Device();
    await (await device.start()).take(encodeRootFile([second]));
    const fleet = { ...fleetFile, ...moved };
    const keeper = await device.start([third], fleet);
    expect([keeper.trust.version, keeper.trust.links.length]).toEqual([3, 1]);
    expect(await keeper.take(encodeRootFile([second, third, said(4, moved, four)]))).toBe(true);
    expect((await device.start([third], fleet)).trust.version).toBe(4);
  });

  test('that was kept and no longer follows from the firmware is named, and what ships counts', async () => {
    const device = new Device();
    await device.journal.put('root-chain', encodeRootFile([said(2, {}, four)]));
    expect((await device.start()).trust.version).toBe(1);
    expect(device.lines).toEqual(['root-kept: the kept root statement no longer follows: root-threshold']);
  });

  test('is whole after a cut at any of its writes', async () => {
    const device = new Device();
    const keeper = await device.start();
    let writes = 0;
    const put = device.journal.put.bind(device.journal);
    device.journal.put = async (key, value): Promise<void> => {
      if (writes++ === 1) throw new Error('power cut');
      await put(key, value);
    };
    await expect(keeper.take(encodeRootFile([second]))).rejects.toThrow('power cut');
    device.journal.put = put;
    expect((await device.start()).trust.version).toBe(2);
    expect((await device.journal.get('root-version'))?.readBigUInt64BE()).toBe(2n);
  });
});
