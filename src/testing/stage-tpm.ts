// A software TPM on a stage, with endorsement certificates as its maker would ship a hardware one, and the power switch to it.
import { mkdir, rm } from 'node:fs/promises';
import { TouchstoneError } from '../errors.ts';
import type { Actor } from './actor.ts';
import { setupCall } from './software-tpm-setup.ts';
import type { Stage } from './stage.ts';

export interface StageTpm {
  /** TCTI string of it. */
  readonly tcti: string;
  /** Certificates that its EK certificate chains to, PEM files. */
  readonly caFiles: readonly string[];
  /** Switches it on. */
  start(): Promise<Actor>;
}

/** Makes the TPM and its certificate authority in the stage's folder `tpm`. Errors: CONFIG_MISSING when swtpm is not installed. */
export async function makeStageTpm(stage: Stage): Promise<StageTpm> {
  const at = (...parts: string[]): string => stage.path('tpm', ...parts);
  await mkdir(at(), { recursive: true, mode: 0o700 });
  const { args } = await setupCall(at());
  const made = await stage.run('swtpm_setup', args);
  if (made.code !== 0) {
    throw new TouchstoneError('TPM_UNAVAILABLE', `swtpm_setup failed: ${made.stdout}${made.stderr}`);
  }
  const socket = at('sock');
  return {
    tcti: `swtpm:path=${socket}`,
    caFiles: [at('ca', 'swtpm-localca-rootca-cert.pem'), at('ca', 'issuercert.pem')],
    start: async () => {
      // A TPM that lost power leaves its socket file behind, and nobody listens on it.
      await rm(socket, { force: true });
      const actor = stage.start('swtpm', 'swtpm', [
        'socket',
        ...'--tpm2 --flags not-need-init,startup-clear'.split(' '),
        ...Object.entries({
          tpmstate: `dir=${at('state')}`,
          server: `type=unixio,path=${socket}`,
          ctrl: `type=unixio,path=${socket}.ctrl`,
          log: `file=${at('swtpm.log')},level=1`,
        }).flatMap(([key, value]) => [`--${key}`, value]),
      ]);
      await stage.appears(socket);
      return actor;
    },
  };
}
