// The scenes of a rehearsal on a device, in order: each says what must be seen, and judges what was.
import { join } from 'node:path';
import { toHex } from '../bytes/text.ts';
import { decodeEvent } from '../cel/record.ts';
import type { SignedRelease } from '../release/open.ts';
import { holdsRelease, rulesOf, verdictWords } from '../testing/device-words.ts';
import { TITLES } from './acts.ts';
import type { Cast, Scene } from './cast.ts';
import { compareRun } from './compare-run.ts';
import { installs, isLoadable, judged, newVerdict } from './judged.ts';
import { diskUse, peakMemory } from './observe.ts';
import { cutInstall, floor, rollBack } from './old-disk.ts';
import { tampering } from './tampering.ts';

function resources(cast: Cast): Scene {
  const { memory, disk } = cast.limits;
  const mib = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
  const limit = (bytes: number | null): string => (bytes === null ? 'no limit given' : `at most ${mib(bytes)}`);
  return {
    name: 'resources',
    title: TITLES.resources,
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
    title: TITLES.prediction,
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
    title: TITLES['power-cut'],
    command: '(SIGKILL)',
    expected: 'the release still there, loadable, and attested again',
    play: async () => {
      const before = (await sandbox.show()).verdict?.at ?? 0;
      await sandbox.cutPower();
      await sandbox.powerOn();
      const device = await newVerdict(
        cast,
        before,
        'attested again',
        (one) => judged(one).ok && holdsRelease(one, slot.name, release.id),
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
    title: TITLES['way-back'],
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

/** In the order they are played (acts.ts). */
export function scenes(cast: Cast): Scene[] {
  const { sandbox, slot, release, from } = cast;
  const before: Scene[] =
    from === null
      ? []
      : [
          {
            name: 'before',
            title: TITLES.before,
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
      title: TITLES.install,
      command: 'touchstone upgrade DEVICE --release ID',
      expected: 'installed and attested',
      essential: true,
      play: async () => {
        // For later: what lies on the disk now must not come back in the place of the release.
        await sandbox.copyDisk();
        return installs(cast, release);
      },
    },
    {
      name: 'verdict',
      title: TITLES.verdict,
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
    floor(cast),
    rollBack(cast),
    cutInstall(cast),
    ...(from === null ? [] : [wayBack(cast, from)]),
  ];
}
