// The scenes of a rehearsal on a device, in order: each says what must be seen, and judges what was.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toHex } from '../bytes/text.ts';
import { decodeEvent } from '../cel/record.ts';
import type { SignedRelease } from '../release/open.ts';
import { holdsRelease, rulesOf, verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import type { Seen, Step } from '../testing/play.ts';
import { upgradeEnd } from '../testing/device-words.ts';
import { diskUse, peakMemory } from './observe.ts';
import { compareRun } from './compare-run.ts';
import type { Cast } from './cast.ts';
import { tampering } from './tampering.ts';

/** A step with a name for scripts. */
export interface Scene extends Step {
  readonly name: string;
}

async function installs({ sandbox, slot }: Cast, release: SignedRelease): Promise<Seen> {
  const ran = await sandbox.upgradeSlot(release.id, { slot: slot.name });
  const { end, rule, detail } = upgradeEnd(ran);
  const saw = `${end}${rule === null ? '' : `: ${rule}`}: ${detail}`;
  return { ok: end === 'attested', saw, ...(rule === null ? {} : { rule }), more: ran.stderr.split('\n').slice(0, 20) };
}

/** What a software TPM cannot have better; everything else against the device counts. */
function judged(device: ShownDevice): Seen {
  const { verdict } = device;
  const good = verdict?.status === 'affirming' || verdict?.status === 'warning';
  const worst = verdict?.findings.find((one) => one.status === verdict.status && one.rule !== 'tier-software');
  const more = (verdict?.findings ?? []).map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`);
  return { ok: good, saw: verdictWords(device), more, ...(good || worst === undefined ? {} : { rule: worst.rule }) };
}

const isTrusted = (device: ShownDevice): boolean => judged(device).ok;

/** `status SLOT` of the device, until it says that the model may be loaded; a result is on its way for a moment. */
async function isLoadable({ sandbox, slot }: Cast): Promise<boolean> {
  for (let tries = 0; tries < 10; tries += 1) {
    if ((await sandbox.cli('status', slot.name, '--state', sandbox.deviceState)).code === 0) return true;
    await delay(200);
  }
  return false;
}

function resources(cast: Cast): Scene {
  const { memory, disk } = cast.limits;
  const mib = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
  const limit = (bytes: number | null): string => (bytes === null ? 'no limit given' : `at most ${mib(bytes)}`);
  return {
    name: 'resources',
    title: 'What the installation needs on the device',
    command: '(the agent’s peak of memory, and its state directory)',
    expected: `memory: ${limit(memory)}; disk: ${limit(disk)}`,
    play: async () => {
      const used = {
        memory: (await peakMemory(cast.sandbox.agent.pid)) ?? 0,
        disk: await diskUse(cast.sandbox.deviceState),
      };
      cast.facts.resources = used;
      const ok = used.memory <= (memory ?? Infinity) && used.disk <= (disk ?? Infinity);
      return { ok, saw: `memory: ${mib(used.memory)}; disk: ${mib(used.disk)}` };
    },
  };
}

function prediction(cast: Cast): Scene {
  return {
    name: 'prediction',
    title: 'Events and PCR value are those that were predicted',
    command: '(the device’s log and its TPM, read after its agent was killed)',
    expected: `${cast.profile.slots.length + 2 + cast.installs.length} events, and the value that they lead to in PCR ${cast.profile.tpm.eventPcr}`,
    play: async () => {
      await cast.sandbox.agent.end('SIGKILL');
      const compared = await compareRun(cast);
      cast.facts.run = compared;
      const more = compared.records.map(
        (record) => `${record.recnum} ${decodeEvent(record.content).type} ${toHex(record.digest)}`,
      );
      return { ok: compared.asPredicted, saw: compared.words, more };
    },
  };
}

function powerCut(cast: Cast): Scene {
  const { sandbox, slot, release } = cast;
  return {
    name: 'power-cut',
    title: 'The power is cut: agent and TPM are killed and start again',
    command: '(SIGKILL)',
    expected: 'the release still there, loadable, and attested again',
    play: async () => {
      const before = (await sandbox.show()).verdict?.at ?? 0;
      await sandbox.cutPower();
      await sandbox.powerOn();
      const device = await sandbox.until(
        'attested again',
        (one) => (one.verdict?.at ?? 0) > before && isTrusted(one) && holdsRelease(one, slot.name, release.id),
      );
      const loadable = await isLoadable(cast);
      return { ok: loadable, saw: `${verdictWords(device)}; ${loadable ? 'loadable' : 'not loadable'}` };
    },
  };
}

/** Whether the devices could go back to what they run now. */
function wayBack(cast: Cast, from: SignedRelease): Scene {
  const { passport } = cast.release;
  const closed = passport.withdraws.includes(from.id)
    ? 'release-withdrawn'
    : from.passport.securityVersion < passport.securityVersion
      ? 'release-older'
      : null;
  return {
    name: 'way-back',
    title: 'The release of before is installed again',
    command: 'touchstone upgrade DEVICE --release FROM',
    expected:
      closed === null ? 'installed: this release leaves the way back open' : `refused: ${closed}: there is no way back`,
    play: async () => {
      const seen = await installs(cast, from);
      if (closed === null) return seen;
      return { ok: !seen.ok && seen.rule !== undefined, saw: seen.saw };
    },
  };
}

/** In the order they are played. `from`: what the devices run now, or null for new ones. */
export function scenes(cast: Cast, from: SignedRelease | null): Scene[] {
  const { sandbox, slot, release } = cast;
  const before: Scene[] =
    from === null
      ? []
      : [
          {
            name: 'before',
            title: 'The device runs the release of before',
            command: 'touchstone upgrade DEVICE --release FROM',
            expected: 'installed and attested',
            essential: true,
            play: async () => installs(cast, from),
          },
        ];
  return [
    ...before,
    {
      name: 'install',
      title: 'The device judges the release, installs it, tries it and proves it',
      command: 'touchstone upgrade DEVICE --release ID',
      expected: 'installed and attested',
      essential: true,
      play: async () => installs(cast, release),
    },
    {
      name: 'verdict',
      title: 'The controller trusts the device with it',
      command: 'touchstone device attest DEVICE',
      expected: 'nothing against it; a software TPM never gets better than warning',
      play: async () => {
        const device = await sandbox.until(
          'a verdict',
          (one) => one.verdict !== null && holdsRelease(one, slot.name, release.id),
        );
        cast.facts.warnings = rulesOf(device);
        return judged(device);
      },
    },
    resources(cast),
    prediction(cast),
    powerCut(cast),
    tampering(cast, join(sandbox.modelFolder(slot.name))),
    ...(from === null ? [] : [wayBack(cast, from)]),
  ];
}
