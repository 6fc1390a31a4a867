// Makes the state of a software TPM: seeds, EK certificates of a local authority, active PCR banks.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TouchstoneError } from '../errors.ts';

export interface SetupOptions {
  /** Make EK certificates (default), or save a second and make none. */
  readonly ekCertificates?: boolean;
  /** `caDir` of another software TPM, whose authority then signs: making one costs a second. */
  readonly caDir?: string;
  /** Active PCR banks, `sha256` by default. */
  readonly banks?: string;
}

const run = promisify(execFile);

const AUTHORITY_FILES = [
  'signkey.pem',
  'issuercert.pem',
  'swtpm-localca-rootca-cert.pem',
  'swtpm-localca-rootca-privkey.pem',
];

/** Writes swtpm_setup's configuration, so that it reads and writes nothing outside `dir`. */
async function writeConfiguration(dir: string, caDir: string, banks: string): Promise<string> {
  const options = join(dir, 'localca.options');
  const authority = join(dir, 'localca.conf');
  const setup = join(dir, 'swtpm_setup.conf');
  await writeFile(
    options,
    '--platform-manufacturer Touchstone\n--platform-version 1.0\n--platform-model software-tpm\n',
  );
  const authorityLines = [
    `statedir = ${caDir}`,
    `signingkey = ${join(caDir, 'signkey.pem')}`,
    `issuercert = ${join(caDir, 'issuercert.pem')}`,
    `certserial = ${join(caDir, 'certserial')}`,
  ];
  await writeFile(authority, `${authorityLines.join('\n')}\n`);
  const setupLines = [
    'create_certs_tool = /usr/bin/swtpm_localca',
    `create_certs_tool_config = ${authority}`,
    `create_certs_tool_options = ${options}`,
    `active_pcr_banks = ${banks}`,
  ];
  await writeFile(setup, `${setupLines.join('\n')}\n`);
  return setup;
}

/** The swtpm_setup call that makes DIR/state and DIR/ca; everything that it reads is written before. */
export async function setupCall(
  dir: string,
  options: SetupOptions = {},
): Promise<{ readonly args: string[]; readonly log: string }> {
  const state = join(dir, 'state');
  const caDir = join(dir, 'ca');
  await mkdir(state, { recursive: true, mode: 0o700 });
  await mkdir(caDir, { recursive: true, mode: 0o700 });
  if (options.caDir !== undefined) {
    // Copied, so that two TPMs made at once share no serial file.
    for (const name of AUTHORITY_FILES) await copyFile(join(options.caDir, name), join(caDir, name));
  }
  const banks = options.banks ?? 'sha256';
  const configuration = await writeConfiguration(dir, caDir, banks);
  const log = join(dir, 'setup.log');
  const args = ['--tpm2', '--tpm-state', `dir://${state}`, '--config', configuration, '--pcr-banks', banks];
  if (options.ekCertificates !== false) {
    args.push('--create-ek-cert', '--create-platform-cert', '--lock-nvram', '--vmid', 'touchstone-software-tpm');
  }
  return { args: [...args, '--overwrite', '--logfile', log], log };
}

/** Makes DIR/state, DIR/ca and their configuration. Errors: TouchstoneError TPM_UNAVAILABLE. */
export async function makeSoftwareTpmState(dir: string, options: SetupOptions): Promise<void> {
  const { args, log } = await setupCall(dir, options);
  await run('swtpm_setup', args, { cwd: dir }).catch((cause: unknown) => {
    throw new TouchstoneError('TPM_UNAVAILABLE', `swtpm_setup failed; see ${log}`, { cause });
  });
}
