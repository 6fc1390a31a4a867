// The steps of a device without a network: its upgrade is carried to it, and what its TPM signs of that is carried back.
import { mkdir, stat } from 'node:fs/promises';
import { holdsRelease, isAsSigned, verdictWords } from '../testing/device-words.ts';
import type { Step } from '../testing/play.ts';
import { SLOT } from './theatre.ts';
import type { Theatre } from './theatre.ts';

const kibibytes = (bytes = 0): string => `${(bytes / 1024).toFixed(1)} KiB`;

/** `make`: a signed and published release, by its name; answers its id. */
export function carried(theatre: Theatre, make: (name: string) => Promise<string>): Step[] {
  const { stage } = theatre;
  const onStick = (name: string): string => stage.path('stick', name);
  const [bundle, receipt, result] = [onStick('up.bundle'), onStick('up.receipt'), onStick('up.result')];
  const atController = ['--state', theatre.controllerState];
  const onDevice = ['--state', theatre.deviceState, '--json'];
  let id = '';
  return [
    {
      title: 'The network is gone for good: release 4 goes to the device on a stick, in one file',
      command: 'touchstone bundle make DEVICE --release ID --out FILE · touchstone bundle apply FILE --receipt RECEIPT',
      expected:
        'verified, measured and healthy, on trial until the controller has its receipt, of which it has heard nothing',
      play: async () => {
        id = await make('four');
        await theatre.cutNetwork();
        await mkdir(stage.path('stick'));
        await theatre.must('bundle', 'make', theatre.deviceId, '--release', id, '--out', bundle, ...atController);
        const ran = await theatre.cli('bundle', 'apply', bundle, '--receipt', receipt, ...onDevice);
        const { stands = 'no trial' } = JSON.parse(ran.stdout) as { stands?: string };
        const heard = holdsRelease(await theatre.show(), SLOT, id);
        const [there, back] = await Promise.all([bundle, receipt].map(async (file) => (await stat(file)).size));
        return {
          ok: ran.code === 0 && stands === 'trial' && !heard,
          saw: `${kibibytes(there)} there, ${kibibytes(back)} back; on ${stands}; the controller has heard ${heard ? 'of it' : 'nothing'}`,
          more: [ran.stdout, ran.stderr],
        };
      },
    },
    {
      title: 'The receipt is carried back, and the controller’s signed word to the device',
      command: 'touchstone bundle accept RECEIPT --result RESULT · touchstone bundle apply RESULT',
      expected: 'the quote in it proves release 4; a copy of it counts no more; the device commits it',
      play: async () => {
        const accepted = await theatre.cli('bundle', 'accept', receipt, '--result', result, ...atController);
        const twice = await theatre.cli('bundle', 'accept', receipt, ...atController, '--json');
        const device = await theatre.show();
        const applied = await theatre.cli('bundle', 'apply', result, ...onDevice);
        await theatre.agent.says(new RegExp(`${id.slice(0, 12)} committed: the controller says warning`));
        const { why = 'accepted' } = JSON.parse(twice.stdout) as { why?: string };
        const proven = holdsRelease(device, SLOT, id) && isAsSigned(device);
        // For whoever goes on with the demo.
        await theatre.startBroker();
        return {
          ok: accepted.code === 0 && applied.code === 0 && twice.code === 1 && why === 'superseded' && proven,
          saw: `${verdictWords(device)}; the copy: ${why}; committed`,
          more: [accepted.stdout, applied.stdout, applied.stderr],
        };
      },
    },
  ];
}
