// An agent killed by SIGKILL at every step between journal and PCR, its journal on disk, its TPM real: what it left is always explained.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../src/store/open-journal.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { eventsOf, expectExplained, numbersIn, openRecorder } from '../measure/device.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';

const CHILD = fileURLToPath(new URL('journal-child.ts', import.meta.url));
let swtpm: SoftwareTpm;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kill-'));
  swtpm = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await swtpm[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Runs an agent that dies at call `at`; gives how it ended and which events it had been told are recorded. */
async function live(path: string, at: number, first: number): Promise<{ end: string; acknowledged: number[] }> {
  const args = [CHILD, swtpm.socketPath, path, `${at}`, `${first}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(signal ?? `exit ${code ?? ''}`);
    });
  });
  const said = await text(child.stdout);
  return { end: await ended, acknowledged: said.split('\n').filter(Boolean).map(Number) };
}

describe('an agent killed by SIGKILL', () => {
  // Before one call is after the call that came before it: for a process that is gone there is no difference.
  test('before every call to journal or TPM, each time again on what the last left: all explained, all kept', async () => {
    const path = join(folder, 'journal.sqlite');
    const recorded: number[] = [];
    let end = 'SIGKILL';
    for (let at = 1; end === 'SIGKILL'; at++) {
      const first = (recorded.at(-1) ?? 0) + 1;
      const life = await live(path, at, first);
      end = life.end;
      await using tpm = await openDeviceTpm({ transport: await openSocketTransport({ path: swtpm.socketPath }) });
      await using journal = await openJournal({ path });
      await openRecorder({ tpm, journal });
      await expectExplained(tpm, journal);
      const numbers = await numbersIn(journal);
      const added = numbers.slice(recorded.length);
      expect(numbers.slice(0, recorded.length)).toEqual(recorded);
      expect(added).toEqual(added.map((_, i) => first + i));
      expect(added.slice(0, life.acknowledged.length)).toEqual(life.acknowledged);
      expect(added.length).toBeLessThanOrEqual(life.acknowledged.length + 1);
      recorded.push(...added);
    }
    expect(end).toBe('exit 0');
    expect(recorded.length).toBeGreaterThan(12);
    await using journal = await openJournal({ path });
    expect((await eventsOf(journal)).filter(({ type }) => type !== 'slot').map(({ type }) => type)).toEqual(['boot']);
  }, 180_000);
});
