// The steps about version floors: the TPM gets them once, and then what is below is never loaded again, whatever the disk says.
import { cp, rm } from 'node:fs/promises';
import { holdsRelease, isAsSigned, upgradeEnd, verdictWords } from '../testing/device-words.ts';
import type { Step } from '../testing/play.ts';
import { SLOT } from './theatre.ts';
import type { Theatre } from './theatre.ts';

/** Number of the slot's floor in the TPM. */
export const FLOOR = { floor: 0 } as const;

/** A device that was let in asks for its floors. */
export function givesFloors(theatre: Theatre): Step {
  const { stage } = theatre;
  const state = ['--state', theatre.controllerState];
  return {
    title: 'Its TPM gets version floors, by a token that the recovery key signs for this device alone',
    command: 'touchstone floor request DEVICE · floor first-token · floor give DEVICE',
    expected: 'floors in the TPM, all at 0; before that, nothing may be loaded',
    essential: true,
    play: async () => {
      await theatre.until('it asks for floors', ({ verdict }) =>
        (verdict?.findings ?? []).some(({ rule }) => rule === 'floor-missing'),
      );
      const [request, token] = [stage.path('floors.json'), stage.path('floors.token')];
      await theatre.must('floor', 'request', theatre.deviceId, '--out', request, ...state);
      await theatre.must('floor', 'first-token', request, '--out', token, ...theatre.signs('floor-recovery.key.pem'));
      const given = await theatre.must('floor', 'give', theatre.deviceId, '--token-file', token, ...state);
      const line = await theatre.agent.says(/the version floors are set: [\d, ]+/);
      return { ok: given.code === 0, saw: /the version floors are set: [\d, ]+/.exec(line)?.[0] ?? line };
    },
  };
}

/** Copies a disk as it is at this moment, like a thief who pulls the plug; sockets are on no disk. */
async function image(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.sock') });
}

/** Keeps the disk for the step below. What runs stands still meanwhile. */
export async function keepDisk(theatre: Theatre): Promise<void> {
  process.kill(theatre.agent.pid, 'SIGSTOP');
  try {
    await image(theatre.deviceState, theatre.stage.path('yesterday'));
  } finally {
    process.kill(theatre.agent.pid, 'SIGCONT');
  }
}

export function restoredDisk(theatre: Theatre, ids: { readonly one: () => string; readonly two: () => string }): Step {
  return {
    title: 'A thief puts back the disk from before release 2, with release 1 on it, still well signed',
    command: '(yesterday’s disk under today’s TPM) · touchstone upgrade DEVICE --release ID',
    expected:
      'the TPM’s floor stands at 2: release 1 is not loaded, and refused when asked for; release 2 goes in again',
    play: async () => {
      await theatre.cutPower();
      await rm(theatre.deviceState, { recursive: true });
      await image(theatre.stage.path('yesterday'), theatre.deviceState);
      await theatre.powerOn();
      const empty = await theatre.until('nothing loaded', ({ slots }) =>
        slots.every(({ release }) => release === null),
      );
      const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
      const why = /no loadable model: needs release ≥ \d+/.exec(status.stdout)?.[0] ?? 'a model may be loaded';
      const old = upgradeEnd(await theatre.upgrade(ids.one()));
      const again = await theatre.upgrade(ids.two());
      const device = await theatre.until(
        'release 2 attested',
        (one) => isAsSigned(one) && holdsRelease(one, SLOT, ids.two()),
      );
      const refused = old.end === 'refused' && old.rule === 'release-older';
      return {
        ok: status.code === 1 && why.endsWith('≥ 2') && refused && again.code === 0,
        saw: `${why}; release 1 ${old.end}: ${old.rule ?? ''}; then ${verdictWords(device)}`,
        more: [verdictWords(empty), old.detail],
      };
    },
  };
}
