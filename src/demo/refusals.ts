// The steps in which the device refuses what it is told to install: by the name of a rule, and with what runs untouched.
import { cp, mkdir } from 'node:fs/promises';
import { holdsRelease } from '../testing/device-words.ts';
import type { Step } from '../testing/play.ts';
import { SLOT } from './theatre.ts';
import type { Theatre } from './theatre.ts';

/** `name`: a copy of a release folder in which `change` was done. */
export async function spoiled(
  theatre: Theatre,
  from: string,
  name: string,
  change: (dir: string) => Promise<void>,
): Promise<string> {
  const dir = theatre.stage.path('spoiled', name);
  await mkdir(theatre.stage.path('spoiled'), { recursive: true });
  await cp(theatre.stage.path('releases', from), dir, { recursive: true });
  await change(dir);
  return dir;
}

/** A step in which the device must refuse `from` by `rule` and go on with `running`, which is release 2. */
export function refusal(
  theatre: Theatre,
  running: () => string,
  about: {
    readonly title: string;
    readonly rule: string;
    readonly id: () => string;
    readonly from?: () => Promise<string>;
  },
): Step {
  return {
    title: about.title,
    command: `touchstone upgrade DEVICE --release ${about.from === undefined ? 'ID' : 'ID --source FOLDER'}`,
    expected: `refused: ${about.rule}; the running model untouched`,
    play: async () => {
      // First made, then named: the id is known only then.
      const from = await about.from?.();
      const ran = await theatre.upgrade(about.id(), from);
      const device = await theatre.show();
      const named = ran.stdout.includes(`"${about.rule}"`) || ran.stdout.includes(`${about.rule}:`);
      const still = holdsRelease(device, SLOT, running());
      const loadable = (await theatre.cli('status', SLOT, '--state', theatre.deviceState)).code === 0;
      const saw = named ? `refused: ${about.rule}` : `no refusal by ${about.rule}`;
      return {
        ok: ran.code === 1 && named && still && loadable,
        saw: `${saw}; exit code ${ran.code}; ${still && loadable ? 'release 2 still runs' : 'the running model changed'}`,
        more: ran.stdout.split('\n').slice(0, 40),
      };
    },
  };
}
