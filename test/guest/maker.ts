// An emulated TPM whose maker vouches for it as for hardware, so that the product's best case can be tried where there is none.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeSoftwareTpmState } from '../support/software-tpm-setup.ts';

const run = promisify(execFile);

/** Makes the certificates as swtpm's own authority would, but for another maker and model than "swtpm". */
const AUTHORITY = `#!/bin/sh
# Stands between swtpm_setup and its authority.
for word do
  shift
  case $word in
  swtpm) word=edge-tpm ;;
  id:00001014) word=id:54535400 ;;
  esac
  set -- "$@" "$word"
done
exec /usr/bin/swtpm_localca "$@"
`;

export interface MadeTpm {
  /** For swtpm's --tpmstate. */
  readonly state: string;
  /** PEM files: what an operator who trusts this maker puts into ek-roots. */
  readonly root: string;
  readonly intermediate: string;
}

/** Makes DIR/state. */
export async function makeVouchedTpm(dir: string): Promise<MadeTpm> {
  await makeSoftwareTpmState(dir, {});
  const authority = join(dir, 'maker.sh');
  await writeFile(authority, AUTHORITY, { mode: 0o755 });
  const configuration = join(dir, 'swtpm_setup.conf');
  const before = await readFile(configuration, 'utf8');
  await writeFile(configuration, before.replace(/^create_certs_tool = .*$/m, `create_certs_tool = ${authority}`));
  const state = join(dir, 'state');
  const args = ['--tpm2', '--tpm-state', `dir://${state}`, '--config', configuration, '--pcr-banks', 'sha256'];
  const certificates = ['--create-ek-cert', '--create-platform-cert', '--lock-nvram', '--vmid', 'edge-device'];
  await run('swtpm_setup', [...args, ...certificates, '--overwrite', '--logfile', join(dir, 'setup.log')], {
    cwd: dir,
  });
  const ca = join(dir, 'ca');
  return { state, root: join(ca, 'swtpm-localca-rootca-cert.pem'), intermediate: join(ca, 'issuercert.pem') };
}
