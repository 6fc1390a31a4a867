// Measuring on a real TPM: cut at every step, restarted in every way, extended by strangers, and always explained by replay against the real PCR.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../src/store/open-journal.ts';
import type { Journal } from '../../src/store/journal.ts';
import { clear } from '../../src/tpm/commands/hierarchy.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import {
  Cut,
  eventsOf,
  expectExplained,
  Knife,
  numbersIn,
  openRecorder,
  PCR,
  runOnce,
  slotEvent,
} from '../measure/device.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';

let swtpm: SoftwareTpm;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'measure-'));
  swtpm = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await swtpm[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const openTpm = async (of: SoftwareTpm = swtpm): Promise<DeviceTpm> =>
  openDeviceTpm({ transport: await openSocketTransport({ path: of.socketPath }) });
const types = async (journal: Journal): Promise<string[]> => (await eventsOf(journal)).map(({ type }) => type);

/** What happens to the machine between two runs of the agent; nobody is connected. */
const BETWEEN: Readonly<
  Record<string, { readonly why: string; readonly happen: (tpm: SoftwareTpm) => Promise<void> }>
> = {
  'the agent alone is killed': { why: 'continued', happen: async () => {} },
  'suspend and resume': { why: 'resumed', happen: async (tpm) => tpm.restart({ clean: true, keepState: true }) },
  'a reboot': { why: 'rebooted', happen: async (tpm) => tpm.restart({ clean: true }) },
  'a power cut': { why: 'power-cut', happen: async (tpm) => tpm.restart({ clean: false }) },
};

describe('on a software TPM', () => {
  for (const [name, { why, happen }] of Object.entries(BETWEEN)) {
    test(`a cut before and after every step, then ${name}: no unexplained PCR value, nothing lost or doubled`, async () => {
      let cuts = 0;
      for (let at = 1; cuts === at - 1; at++) {
        for (const when of ['before', 'after'] as const) {
          await swtpm.restart({ clean: false });
          const [journal, knife] = [new MemoryJournal(), new Knife(at, when)];
          const acknowledged: number[] = [];
          await using first = await openTpm();
          const cut = await runOnce({ tpm: knife.wrap(first), journal: knife.wrap(journal) }, 1, (n) =>
            acknowledged.push(n),
          ).then(
            () => false,
            (error: unknown) => error instanceof Cut,
          );
          if (cut) cuts = at;
          const kept = why === 'continued' || why === 'resumed';
          await first[Symbol.asyncDispose]();
          await happen(swtpm);
          await using tpm = await openTpm();
          const { recorder } = await openRecorder({ tpm, journal });
          await expectExplained(tpm, journal);
          const numbers = await numbersIn(journal);
          expect(await types(journal)).not.toContain('foreign-extension');
          expect(numbers).toEqual(numbers.map((_, i) => i + 1));
          expect(numbers.length).toBeLessThanOrEqual(kept ? acknowledged.length + 1 : 0);
          expect(numbers.length).toBeGreaterThanOrEqual(kept ? acknowledged.length : 0);
          await recorder.append(slotEvent(numbers.length + 1));
          await expectExplained(tpm, journal);
        }
      }
      expect(cuts).toBeGreaterThan(20);
    });
  }

  test('an extend whose answer is lost on the way is decided by reading the PCR', async () => {
    for (const executed of [true, false]) {
      await swtpm.restart({ clean: false });
      const journal = new MemoryJournal();
      const inner = await openSocketTransport({ path: swtpm.socketPath });
      let lose = false;
      const transport: TpmTransport = {
        raw: true,
        transmit: async (command) => {
          // TPM_CC_PCR_Extend, Part 2, 6.5.2.
          const lost = lose && command.readUInt32BE(6) === 0x182;
          if (!lost) return inner.transmit(command);
          if (executed) await inner.transmit(command);
          await inner.close();
          throw new Error('the answer is lost');
        },
        close: async () => inner.close(),
      };
      await using first = await openDeviceTpm({ transport });
      const { recorder } = await runOnce({ tpm: first, journal }, 1, () => {});
      lose = true;
      await expect(recorder.append(slotEvent(4))).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
      await using tpm = await openTpm();
      expect(await openRecorder({ tpm, journal })).toMatchObject({ why: 'continued', newLog: false });
      expect(await numbersIn(journal)).toEqual([1, 2, 3, 4]);
      await expectExplained(tpm, journal);
    }
  });

  test('each way of going down and up has its name, with the journal on disk', async () => {
    // A TPM of its own: after a power cut `safe` is false for the next 4096 ms, which a test would have to wait for.
    await using own = await startSoftwareTpm({ ekCertificates: false });
    const path = join(folder, 'names.sqlite');
    const said: (string | boolean)[][] = [];
    const session = async (): Promise<void> => {
      await using journal = await openJournal({ path });
      await using tpm = await openTpm(own);
      const { why, newLog } = await runOnce({ tpm, journal }, 1, () => {});
      said.push([why, newLog]);
      await expectExplained(tpm, journal);
      expect(await types(journal)).not.toContain('foreign-extension');
    };
    await session();
    for (const { happen } of Object.values(BETWEEN)) {
      await happen(own);
      await session();
    }
    expect(said).toEqual([
      ['first', true],
      ['continued', false],
      ['resumed', false],
      ['rebooted', true],
      ['power-cut', true],
    ]);
  });

  test('a TPM that was cleared is named so, and the old log explains nothing in it', async () => {
    await swtpm.restart({ clean: true });
    const journal = new MemoryJournal();
    {
      await using tpm = await openTpm();
      await runOnce({ tpm, journal }, 1, () => {});
      await clear(tpm.queue);
    }
    await swtpm.restart({ clean: true });
    await using tpm = await openTpm();
    const { why, newLog } = await openRecorder({ tpm, journal });
    expect({ why, newLog }).toEqual({ why: 'tpm-cleared-or-replaced', newLog: true });
    await expectExplained(tpm, journal);
    expect(await types(journal)).toEqual([]);
  });

  test('an extension by somebody else is named, and the log goes on from what the PCR held', async () => {
    await swtpm.restart({ clean: false });
    const journal = new MemoryJournal();
    await using tpm = await openTpm();
    const { recorder } = await runOnce({ tpm, journal }, 1, () => {});
    await tpm.extendPcr(PCR, createHash('sha256').update('a stranger').digest());
    await expect(recorder.snapshot(async () => 'quoted')).rejects.toMatchObject({ code: 'TPM_MOVED', moved: 'pcr' });
    const again = await openRecorder({ tpm, journal });
    expect((await types(journal)).at(-1)).toBe('foreign-extension');
    await expectExplained(tpm, journal);
    await again.recorder.append(slotEvent(4));
    expect(await again.recorder.snapshot(async ({ seq }) => seq)).toBe(6);
  });
});
