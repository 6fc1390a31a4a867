// The Tpm port on a kernel's /dev/tpmrm0, in a guest that boots by BIOS.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { readImaList } from '../../src/boot/ima-list.ts';
import { bootAggregate, replayImaList } from '../../src/boot/ima-replay.ts';
import { replayFirmwareLog } from '../../src/boot/pcr-replay.ts';
import type { Checks } from './checks.ts';
import { NODE, TPM_CALLS, writeImage } from './image.ts';
import { bootGuest } from './machine.ts';

interface Outcome {
  readonly name: string;
  readonly failure: string | null;
  readonly ms: number;
}

/** `dir` holds the TPM's state folder and takes everything else. */
export async function testTpmDevice(checks: Checks, dir: string): Promise<void> {
  const initrd = join(dir, 'initrd');
  await writeImage(initrd, new Map());
  const booted = await checks.run('a guest boots by BIOS with a TPM on tpm-tis', async () =>
    bootGuest({ dir, tpmState: join(dir, 'state'), initrd, firmware: 'bios' }),
  );
  if (booted === undefined) return;
  await using guest = booted;
  await checks.run('the kernel has a resource manager and IMA', async () => {
    assert.equal(
      (await guest.run('test -c /dev/tpmrm0 && grep -q boot_aggregate /sys/kernel/security/ima/ascii*')).code,
      0,
    );
  });
  const { code, output } = await guest.run(`${NODE} ${TPM_CALLS}`);
  const outcomes = output.split('\n').filter((line) => line.startsWith('{'));
  for (const line of outcomes) {
    const { name, failure, ms } = JSON.parse(line) as Outcome;
    checks.take(`/dev/tpmrm0 ${name}`, failure, ms);
  }
  await checks.run('all calls on /dev/tpmrm0 ran to the end', () => {
    assert.equal(code, 0, output);
    assert.ok(outcomes.length >= 7, output);
    return Promise.resolve();
  });
  await checks.run(
    "the kernel's list, binary and ASCII, explains PCR 10 and names its boot by the firmware's log",
    async () => {
      const [pcr = ''] = (await guest.run('cat /sys/class/tpm/tpm0/pcr-sha256/10')).output.split('\n');
      const binary = await guest.read('/sys/kernel/security/ima/binary_runtime_measurements');
      const ascii = await guest.read('/sys/kernel/security/ima/ascii_runtime_measurements');
      const log = await guest.read('/sys/kernel/security/tpm0/binary_bios_measurements');
      const records = readImaList(binary);
      assert.deepEqual(readImaList(ascii).slice(0, records.length), records);
      assert.ok((replayImaList(records, Buffer.from(pcr, 'hex'))?.explained ?? 0) > 0);
      assert.equal(bootAggregate(records, replayFirmwareLog(readFirmwareLog(log))), 'same');
      const named = new Set(records.map(({ path }) => path));
      for (const path of ['/init', '/bin/node', '/touchstone/dist/src/tpm/device-tpm.js'])
        assert.ok(named.has(path), path);
      checks.note(`${records.length} files measured by the kernel`);
    },
  );
}
