// The step in which a signed release does not do on the device what it did at its maker's: it is rolled back, with the reason.
import { HEALTH_FILE, writeGolden } from './golden.ts';
import { makeModelFolder } from './model-folder.ts';
import type { Step } from '../testing/play.ts';
import { SLOT } from './theatre.ts';
import type { Theatre } from './theatre.ts';

/** `running`: id of the release that must go on. */
export function illRelease(theatre: Theatre, running: () => string): Step {
  const { stage } = theatre;
  return {
    title: 'A signed upgrade whose network answers its golden cases wrongly on this device',
    command: 'touchstone release make … --health-check health.json · touchstone upgrade DEVICE --release ID',
    expected: 'rolled back from its trial, with the case that failed; release 2 runs again',
    play: async () => {
      const folder = stage.path('models', 'ill');
      await makeModelFolder(folder, { seed: 'ill', version: '2.2.0', weights: null });
      // Its maker mixed up two networks: signed are the answers of the other one.
      await writeGolden(folder, stage.path('models', 'two'));
      const id = await theatre.makeRelease('ill', { version: '2.2.0', securityVersion: 2, healthCheck: HEALTH_FILE });
      await theatre.addRelease('ill');
      const ran = await theatre.upgrade(id);
      const device = await theatre.until('release 2 back', ({ slots }) =>
        slots.some((slot) => slot.slot === SLOT && slot.release === running()),
      );
      const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
      const reason = /expected \[.*? within .*?, found \[.*?\]/.exec(ran.stdout)?.[0] ?? 'no reason';
      const back = ran.stdout.includes('"rolled-back"') && ran.stdout.includes('health-output');
      return {
        ok: ran.code === 1 && back && status.code === 0 && device.verdict?.status === 'warning',
        saw: `${back ? 'rolled back: health-output' : 'not rolled back'}; ${reason.slice(0, 120)}; status ${status.code}`,
        more: ran.stdout.split('\n').slice(0, 40),
      };
    },
  };
}
