// A software TPM with endorsement certificates, as its maker would ship a hardware one, and the power switch to it.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { TouchstoneError } from '../errors.ts';
import type { Actor, Stage } from './stage.ts';

export interface SoftwareTpm {
  /** TCTI string of it. */
  readonly tcti: string;
  /** Certificates that its EK certificate chains to, PEM files. */
  readonly caFiles: readonly string[];
  /** Switches it on. */
  start(): Promise<Actor>;
}

/** Makes the TPM and its certificate authority in the stage's folder `tpm`. Errors: CONFIG_MISSING when swtpm is not installed. */
export async function makeSoftwareTpm(stage: Stage): Promise<SoftwareTpm> {
  const at = (...parts: string[]): string => stage.path('tpm', ...parts);
  for (const folder of ['state', 'ca']) await mkdir(at(folder), { recursive: true, mode: 0o700 });
  const ca = ['statedir', 'signingkey', 'issuercert', 'certserial'];
  const files = [at('ca'), at('ca', 'signkey.pem'), at('ca', 'issuercert.pem'), at('ca', 'certserial')];
  await writeFile(at('localca.conf'), ca.map((key, index) => `${key} = ${files[index] ?? ''}\n`).join(''));
  await writeFile(
    at('localca.options'),
    '--platform-manufacturer Touchstone\n--platform-version 1.0\n--platform-model demo\n',
  );
  await writeFile(
    at('setup.conf'),
    `create_certs_tool=/usr/bin/swtpm_localca\ncreate_certs_tool_config=${at('localca.conf')}\n` +
      `create_certs_tool_options=${at('localca.options')}\nactive_pcr_banks = sha256\n`,
  );
  const made = await stage.run('swtpm_setup', [
    ...'--tpm2 --create-ek-cert --lock-nvram --pcr-banks sha256 --vmid demo-device'.split(' '),
    '--tpm-state',
    `dir://${at('state')}`,
    '--config',
    at('setup.conf'),
  ]);
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
