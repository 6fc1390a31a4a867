// What really happened on the rehearsed device: its log, its event PCR, and what it needed of disk and memory.
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecord } from '../cel/record.ts';
import type { CelRecord } from '../cel/record.ts';
import { openJournal } from '../store/open-journal.ts';
import { pcrRead } from '../tpm/commands/pcr.ts';
import { CommandQueue } from '../tpm/queue.ts';
import { openTctiTransport } from '../tpm/transport/tcti.ts';
import { TPM_ALG } from '../tpm/wire/constants.ts';

export interface ObservedLog {
  readonly records: readonly CelRecord[];
  /** What the TPM itself says. */
  readonly pcr: Buffer;
}

/** The agent must have ended: journal and TPM have one reader each. Errors: StoreError; TpmError. */
export async function observeLog(stateDir: string, tcti: string, eventPcr: number): Promise<ObservedLog> {
  await using journal = await openJournal({ path: join(stateDir, 'journal.sqlite') });
  const head = await journal.head();
  const records = head === null ? [] : await journal.records(1, head.seq);
  // Reading a PCR needs no authorisation, which the agent may have set and alone knows.
  await using queue = new CommandQueue(await openTctiTransport(tcti));
  const [pcr] = await pcrRead(queue, TPM_ALG.SHA256, [eventPcr]);
  if (pcr === undefined) throw new TypeError('the TPM gave no PCR value');
  return { records: records.map((record) => decodeRecord(record)), pcr };
}

/** Bytes of the files under `folder`. */
export async function diskUse(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The most memory that process `pid` held so far, in bytes; null when it has ended. */
export async function peakMemory(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return found === null ? null : Number(found[1]) * 1024;
}
