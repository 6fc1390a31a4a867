// A device of a fleet, whole: measured boot by UEFI, the agent on /dev/tpmrm0, the controller outside; then an attack on each.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceDetail } from '../../src/controller/views.ts';
import type { Checks } from './checks.ts';
import { FleetOutside, GUEST_PROFILE, IMAGE_LABEL } from './fleet-outside.ts';
import { changeOneByte, TOUCHSTONE, writeImage } from './image.ts';
import { bootGuest } from './machine.ts';
import type { Guest } from './machine.ts';
import type { MadeTpm } from './maker.ts';

const SECURITY = '/sys/kernel/security';
const PCRS = 'for i in $(seq 0 15); do echo $i $(cat /sys/class/tpm/tpm0/pcr-sha256/$i); done >/run/pcrs';
const LEARN = [
  `${TOUCHSTONE} profile learn --json --profile /etc/touchstone/profile.json --pcrs /run/pcrs`,
  `--event-log ${SECURITY}/tpm0/binary_bios_measurements --ima ${SECURITY}/ima/binary_runtime_measurements`,
  '--covers-agent --components /etc/touchstone --name "image 1" --out /run/references.json',
].join(' ');
const AGENT =
  `${TOUCHSTONE} agent --profile /etc/touchstone/profile.json --fleet /etc/touchstone ` +
  '--state /var/lib/touchstone >/run/agent.log 2>&1 & echo $! >/run/agent.pid';
const MODEL = '/var/lib/touchstone/slots/detector/model/model.bin';

interface Learned {
  readonly learned: boolean;
  readonly secureBoot: string;
  readonly ima: { readonly explained: number; readonly violations: number } | null;
  readonly faults: readonly string[];
  readonly events: readonly { readonly pcr: number; readonly type: string; readonly detail: string }[];
}

const rulesOf = ({ verdict }: DeviceDetail): string[] =>
  [...new Set(verdict?.findings.map(({ rule }) => rule))].toSorted();

/** The golden boot: both logs explain what the TPM says, and the controller gets what was learned. */
async function learn(checks: Checks, guest: Guest, outside: FleetOutside): Promise<void> {
  await checks.run(
    "the firmware's log and the kernel's list explain the TPM's PCRs, and the boot is learned",
    async () => {
      const { code, output } = await guest.run(`${PCRS}; ${LEARN}`);
      assert.equal(code, 0, output);
      const learned = JSON.parse(output) as Learned;
      assert.deepEqual([learned.learned, learned.faults, learned.secureBoot], [true, [], 'off']);
      assert.ok((learned.ima?.explained ?? 0) > 3, output);
      assert.ok(learned.events.some(({ pcr, detail }) => pcr === 9 && detail === 'Linux initrd'));
      checks.note(
        `${learned.events.length} firmware events, ${learned.ima?.explained ?? 0} files measured by the kernel`,
      );
      const folder = join(outside.fleet.controllerDir, 'references');
      await writeFile(join(folder, `${GUEST_PROFILE.id}.json`), await guest.read('/run/references.json'));
    },
  );
  await checks.run('a log with another digest is not learned', async () => {
    const other = LEARN.replace(/--event-log \S+/, '--event-log /run/other').replace('/run/references', '/run/none');
    // The last byte of the digest of the first event, whose header is 65 bytes and whose own begins after 14 more.
    const bend = `cat ${SECURITY}/tpm0/binary_bios_measurements >/run/other; printf '\\377' | dd of=/run/other bs=1 seek=110 conv=notrunc 2>/dev/null`;
    const { code, output } = await guest.run(`${bend}; ${other}; code=$?; test ! -e /run/none.json && exit $code`);
    assert.equal(code, 1, output);
  });
}

async function enrol(checks: Checks, guest: Guest, outside: FleetOutside): Promise<void> {
  await checks.run('the agent asks to enrol over /dev/tpmrm0, and the operator lets it in', async () => {
    await guest.run(AGENT);
    const waiting = await outside.until('a device that asks', ({ state }) => state === 'pending', false);
    assert.equal(waiting.tier, 'hardware');
    assert.equal((await outside.cli('device', 'approve', waiting.id)).code, 0);
    await outside.until('a first verdict', ({ verdict }) => verdict !== null);
  });
}

async function install(checks: Checks, outside: FleetOutside): Promise<void> {
  await checks.run(
    'a signed release is installed and the device judged affirming, with a measured boot (A2)',
    async () => {
      const { id } = (await outside.device()) ?? { id: '' };
      const ran = await outside.cli('upgrade', id, '--release', outside.release.id, '--source', '/srv/release');
      assert.equal(ran.code, 0, `${ran.stdout}${ran.stderr}`);
      const device = await outside.until('affirming', ({ verdict }) => verdict?.status === 'affirming');
      checks.note((await outside.explanation(device)).trim().replaceAll('\n', '\n       '));
      assert.deepEqual([device.verdict?.assurance, rulesOf(device)], ['A2', []]);
    },
  );
}

async function tamper(checks: Checks, guest: Guest, outside: FleetOutside): Promise<void> {
  await checks.run('a changed byte of the model is found: contraindicated, and the file named', async () => {
    const { code, output } = await guest.run(
      `cp ${MODEL} /run/m && printf X | dd of=/run/m bs=1 seek=100 conv=notrunc 2>/dev/null && rm ${MODEL} && cp /run/m ${MODEL}`,
    );
    assert.equal(code, 0, output);
    const device = await outside.until('contraindicated', ({ verdict }) => verdict?.status === 'contraindicated');
    assert.ok(rulesOf(device).includes('model-bytes'), rulesOf(device).join());
    assert.match(JSON.stringify(device.verdict?.findings), /model\.bin/);
    const status = await guest.run(`${TOUCHSTONE} status detector --state /var/lib/touchstone`);
    assert.equal(status.code, 1, status.output);
  });
}

/** Ends the agent as a shutdown does, and gives what the disk then holds. */
async function shutDown(guest: Guest): Promise<Buffer> {
  await guest.run('kill $(cat /run/agent.pid); while kill -0 $(cat /run/agent.pid) 2>/dev/null; do sleep 0.2; done');
  await guest.run('tar -c -z -f /run/disk.tar -C /var/lib touchstone');
  return guest.read('/run/disk.tar');
}

/** Starts the agent on the disk of an earlier start, and waits for a verdict on this one. */
async function comeBack(guest: Guest, disk: Buffer, outside: FleetOutside): Promise<DeviceDetail> {
  const before = (await outside.device())?.generation ?? 0;
  await guest.write('/run/disk.tar', disk);
  const { code, output } = await guest.run('tar -x -z -f /run/disk.tar -C /var/lib');
  assert.equal(code, 0, output);
  await guest.run(AGENT);
  return outside.until('evidence of this boot', ({ generation }) => generation > before);
}

async function sameImage(checks: Checks, guest: Guest, disk: Buffer, outside: FleetOutside): Promise<void> {
  await checks.run('after a reboot from the same image it is affirming at A2 again', async () => {
    const { verdict } = await comeBack(guest, disk, outside);
    assert.deepEqual([verdict?.status, verdict?.assurance, verdict?.findings], ['affirming', 'A2', []]);
    assert.match((await guest.run('cat /run/agent.log')).output, /started \(rebooted; before: stopped\)/);
  });
}

/** The same device, started from another first file system: everything in it may be a lie, but the firmware measured it. */
async function otherImage(checks: Checks, guest: Guest, disk: Buffer, outside: FleetOutside): Promise<void> {
  await checks.run('its own evidence gives that away by PCR 9, and by no other', async () => {
    const device = await comeBack(guest, disk, outside);
    const found = device.verdict?.findings.filter(({ rule }) => rule === 'boot-pcr') ?? [];
    assert.deepEqual([device.verdict?.status, device.verdict?.assurance], ['contraindicated', 'A1']);
    assert.deepEqual(
      found.map((one) => /^PCR \d+/.exec(one.found)?.[0]),
      ['PCR 9'],
    );
    checks.note(`contraindicated (A1): ${rulesOf(device).join(', ')}`);
  });
}

/** `dir` takes everything; its path is short. */
export async function testFleetDevice(checks: Checks, dir: string, tpm: MadeTpm): Promise<void> {
  const started = 'a fleet with broker and controller starts outside of the guest';
  const opened = await checks.run(started, async () => FleetOutside.open(tpm));
  if (opened === undefined) return;
  await using outside = opened;
  const initrd = join(dir, 'initrd');
  /** One power-on. Gives the disk as the shutdown leaves it; null: it did not come so far. */
  const boot = async (name: string, work: (guest: Guest) => Promise<void>): Promise<Buffer | null> => {
    const options = { dir, tpmState: tpm.state, initrd, firmware: 'uefi' } as const;
    const booted = await checks.run(name, async () => bootGuest(options));
    if (booted === undefined) return null;
    await using guest = booted;
    const { failed } = checks;
    await work(guest);
    if (checks.failed === failed) {
      return (await checks.run('the agent ends cleanly', async () => shutDown(guest))) ?? null;
    }
    const looked = await guest.run('tail -n 40 /run/agent.log; ps | grep node; dmesg | tail -n 20');
    checks.note(`the agent said, what runs, and the kernel:\n${looked.output}\nthe controller:\n${outside.said}`);
    return null;
  };
  const measured = 'a guest boots by UEFI, which measures kernel, parameters and first file system';
  await writeImage(initrd, await outside.deviceFiles());
  const first = await boot(measured, async (guest) => {
    await learn(checks, guest, outside);
    await enrol(checks, guest, outside);
    await install(checks, outside);
  });
  if (first === null) return;
  const second = await boot('it starts again with its disk', async (guest) => {
    await sameImage(checks, guest, first, outside);
    await tamper(checks, guest, outside);
  });
  if (second === null) return;
  await changeOneByte(initrd, IMAGE_LABEL);
  await boot('it starts with its disk from an image with one other byte', async (guest) => {
    await otherImage(checks, guest, second, outside);
  });
}
