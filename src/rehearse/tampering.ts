// The scene in which root on the device changes a byte of the model: it must be found, named, and answered as the profile says.
import { copyFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { holdsRelease, verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import type { Step } from '../testing/play.ts';
import { flipByte } from '../testing/tamper.ts';
import type { Cast } from './cast.ts';

/** The smallest file that has a byte to change: a large one takes time to copy. */
async function someFile(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return { path, size: (await stat(path)).size };
      }),
  );
  const [smallest] = files.filter(({ size }) => size > 0).toSorted((a, b) => a.size - b.size);
  if (smallest === undefined) throw new TypeError(`${folder} holds no byte that could be changed`);
  return smallest.path;
}

const EXPECTED = {
  stop: 'contraindicated by model-bytes; the model may not be loaded',
  degraded: 'contraindicated by model-bytes; the model may be loaded under the word degraded',
  'last-good': 'contraindicated by model-bytes, and stopped, or the last good release put back',
} as const;

function isFound({ verdict }: ShownDevice): boolean {
  return verdict?.status === 'contraindicated' && verdict.findings.some((one) => one.rule === 'model-bytes');
}

/** `model`: the model folder on the device. The byte is put back at the end. */
export function tampering({ sandbox, slot, release }: Cast, model: string): Step & { readonly name: string } {
  const wentBack = (device: ShownDevice): boolean =>
    slot.onFailure === 'last-good' && !holdsRelease(device, slot.name, release.id);
  const use = async (): Promise<string> => {
    const { stdout } = await sandbox.cli('status', slot.name, '--state', sandbox.deviceState, '--json');
    return (JSON.parse(stdout) as { slots?: readonly { use: string }[] }).slots?.[0]?.use ?? 'unknown';
  };
  return {
    name: 'tampering',
    title: 'Root on the device changes one bit of the model',
    command: '(one bit)',
    expected: EXPECTED[slot.onFailure],
    play: async () => {
      const file = await someFile(model);
      await copyFile(file, sandbox.stage.path('before-tampering'));
      await flipByte(file);
      const device = await sandbox.until('found', (one) => isFound(one) || wentBack(one));
      const now = await use();
      await rm(file, { force: true });
      await rename(sandbox.stage.path('before-tampering'), file);
      const allowed = slot.onFailure === 'degraded' ? ['degraded'] : ['stopped'];
      return {
        ok: wentBack(device) || (isFound(device) && allowed.includes(now)),
        saw: `${verdictWords(device)}; ${wentBack(device) ? 'the release before it is back' : now}`,
      };
    },
  };
}
