// `touchstone tpm info` and `touchstone tpm doctor`: what is this TPM, what is missing or risky, and what to do about it.
import { userInfo } from 'node:os';
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { EXIT } from './exit.ts';
import { outputOf } from './output.ts';
import type { CheckedFacts, Finding } from './tpm-checks.ts';
import type { TpmSurvey } from '../tpm/survey.ts';

interface InfoOptions {
  readonly tcti?: string;
}

interface DoctorOptions extends InfoOptions {
  readonly profile?: string;
  readonly report?: string;
  readonly withCertificates?: boolean;
}

interface ProfileFacts {
  readonly facts: CheckedFacts['profile'];
  readonly tcti: string;
}

async function profileFacts(file: string | undefined): Promise<ProfileFacts | null> {
  if (file === undefined) return null;
  const { loadProfile } = await import('../profile/profile.ts');
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  const { tpm } = loadProfile(bytes, file).profile;
  return { facts: { eventPcr: tpm.eventPcr, ownership: tpm.ownership }, tcti: tpm.tcti };
}

/** By the flag (or TOUCHSTONE_TCTI), else the profile's, else the kernel's resource manager. */
async function tctiOf(options: InfoOptions, profile: ProfileFacts | null): Promise<string> {
  const { DEFAULT_TCTI } = await import('../tpm/transport/tcti.ts');
  if (options.tcti !== undefined && options.tcti !== '') return options.tcti;
  return profile === null || profile.tcti === 'auto' ? DEFAULT_TCTI : profile.tcti;
}

async function info(options: InfoOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { probeTpm } = await import('./tpm-probe.ts');
  const { surveyDocument, surveyText } = await import('./tpm-text.ts');
  const answer = await probeTpm(await tctiOf(options, null));
  if (!('survey' in answer)) {
    const cause = new Error(answer.causes.join(': '));
    throw new TouchstoneError(answer.code, answer.message, answer.causes.length === 0 ? {} : { cause });
  }
  output.result(surveyDocument(answer.survey, true), () => surveyText(answer.survey, output));
}

async function doctor(options: DoctorOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const [{ readHost }, { probeTpm }, { runTpmChecks }, { whyUnreachable }, text] = await Promise.all([
    import('./tpm-host.ts'),
    import('./tpm-probe.ts'),
    import('./tpm-checks.ts'),
    import('./tpm-unreachable.ts'),
    import('./tpm-text.ts'),
  ]);
  const profile = await profileFacts(options.profile);
  const tcti = await tctiOf(options, profile);
  const host = await readHost(tcti);
  const answer = await probeTpm(tcti);
  let survey: TpmSurvey | null = null;
  let findings: Finding[];
  if ('survey' in answer) {
    ({ survey } = answer);
    findings = runTpmChecks({ host, survey, profile: profile?.facts ?? null });
    process.exitCode = findings.some(({ level }) => level === 'stops') ? EXIT.against : EXIT.done;
  } else {
    findings = [whyUnreachable(host, answer, userInfo().username)];
    process.exitCode = EXIT.failed;
  }
  if (options.report !== undefined) {
    const { writeFileDurably } = await import('../files/durable.ts');
    const identifying = options.withCertificates === true;
    const document = text.reportDocument({ tcti, host, survey }, findings, identifying);
    await writeFileDurably(options.report, `${JSON.stringify(document, null, 2)}\n`, 0o600);
    output.note(`report written to ${options.report}`);
  }
  const { manufacturer = null, vendor = null, firmware = null } = survey ?? {};
  output.result(
    {
      reached: survey !== null,
      tcti,
      manufacturer,
      vendor,
      firmware,
      findings: findings.map((finding) => ({ ...finding })),
    },
    () => text.doctorText({ tcti, survey }, findings, output),
  );
}

function tctiOption(): Option {
  return new Option('--tcti <conf>', 'how to reach the TPM: device:/dev/tpmrm0, swtpm:path=SOCKET, tabrmd').env(
    'TOUCHSTONE_TCTI',
  );
}

/** `touchstone tpm`. */
export function tpmCommand(): Command {
  const command = new Command('tpm').description('look at the TPM of this machine');
  command
    .command('info')
    .description('say what this TPM is and what it holds')
    .addOption(tctiOption())
    .action(async (options: InfoOptions, self: Command) => info(options, self));
  command
    .command('doctor')
    .description(
      'find what is missing or risky, and say what to do: exit code 0 it works, 1 it does not, 3 not reached',
    )
    .addOption(tctiOption())
    .addOption(new Option('--profile <file>', 'firmware profile to check against').env('TOUCHSTONE_PROFILE'))
    .option('--report <file>', 'also write a file that can be sent with a question: no secrets in it')
    .option('--with-certificates', 'let the report name this one TPM: its certificates and its endorsement key')
    .action(async (options: DoctorOptions, self: Command) => doctor(options, self));
  return command;
}
