// Ten thousand times measuring while quoting, on a real TPM: no quote ever fits another log than its own.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { advance, decodeRecord, ZERO_PCR } from '../../src/cel/record.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { sameEpoch } from '../../src/tpm/port.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { expectExplained, numbersIn, openRecorder, PCR, slotEvent } from '../measure/device.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';

const CYCLES = 10_000;
/** Appends and quotes that are asked for at the same time. */
const AT_ONCE = 4;

const folder = await mkdtemp(join(tmpdir(), 'cycles-'));
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('10,000 measurements with 10,000 quotes among them: every quote fits the log that it was taken with', async () => {
  await using swtpm = await startSoftwareTpm({ ekCertificates: false });
  await using tpm = await openDeviceTpm({ transport: await openSocketTransport({ path: swtpm.socketPath }) });
  await using journal = await openJournal({ path: join(folder, 'journal.sqlite') });
  const { recorder } = await openRecorder({ tpm, journal });
  const replayed: { seq: number; pcr: Buffer } = { seq: 0, pcr: Buffer.from(ZERO_PCR) };
  const wrong: string[] = [];
  let quotes = 0;
  const quote = (): Promise<void> =>
    recorder.snapshot(async (head) => {
      const nonce = createHash('sha256').update(`${quotes}`).digest();
      const { attest } = await tpm.quote(nonce, { bank: 'sha256', pcrs: [PCR] });
      for (const record of await journal.records(replayed.seq + 1, head.seq)) {
        replayed.pcr = advance(replayed.pcr, decodeRecord(record));
      }
      replayed.seq = head.seq;
      const said = decode(TpmsAttest, attest);
      const digest = createHash('sha256').update(replayed.pcr).digest();
      const fits = said.attested.type === 'quote' && said.attested.quote.pcrDigest.equals(digest);
      if (!fits || !sameEpoch(said.clockInfo, head.epoch)) wrong.push(`quote ${quotes} at record ${head.seq}`);
      quotes++;
    });
  for (let n = 0; n < CYCLES; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => [recorder.append(slotEvent(n + i)), quote()]).flat());
  }
  expect(wrong).toEqual([]);
  expect(quotes).toBe(CYCLES);
  expect(await numbersIn(journal)).toEqual(Array.from({ length: CYCLES }, (_, n) => n));
  await expectExplained(tpm, journal);
}, 300_000);
