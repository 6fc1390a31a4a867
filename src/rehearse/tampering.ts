// The scene in which root on the device changes a byte of the model: it must be found, named, and answered as the profile says.
import { holdsRelease, verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import { tamperWith } from '../testing/tamper.ts';
import { TITLES } from './acts.ts';
import type { Cast, Scene } from './cast.ts';

const EXPECTED = {
  stop: 'contraindicated by model-bytes; the model may not be loaded',
  degraded: 'contraindicated by model-bytes; the model may be loaded under the word degraded',
  'last-good': 'contraindicated by model-bytes, and stopped, or the last good release put back',
} as const;

function isFound({ verdict }: ShownDevice): boolean {
  return verdict?.status === 'contraindicated' && verdict.findings.some((one) => one.rule === 'model-bytes');
}

/** `model`: the model folder on the device. The byte is put back at the end. */
export function tampering({ sandbox, slot, release }: Cast, model: string): Scene {
  const wentBack = (device: ShownDevice): boolean =>
    slot.onFailure === 'last-good' && !holdsRelease(device, slot.name, release.id);
  const use = async (): Promise<string> => {
    const { stdout } = await sandbox.cli('status', slot.name, '--state', sandbox.deviceState, '--json');
    return (JSON.parse(stdout) as { slots?: readonly { use: string }[] }).slots?.[0]?.use ?? 'unknown';
  };
  return {
    name: 'tampering',
    title: TITLES.tampering,
    command: '(one bit)',
    expected: EXPECTED[slot.onFailure],
    play: async () => {
      const tampered = await tamperWith(model);
      const device = await sandbox.until('found', (one) => isFound(one) || wentBack(one));
      const now = await use();
      await tampered.restore();
      const allowed = slot.onFailure === 'degraded' ? ['degraded'] : ['stopped'];
      return {
        ok: wentBack(device) || (isFound(device) && allowed.includes(now)),
        saw: `${verdictWords(device)}; ${wentBack(device) ? 'the release before it is back' : now}`,
      };
    },
  };
}
