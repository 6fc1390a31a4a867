// `touchstone profile new`: asks what decides a profile, writes one, and says what its choices cost.
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { basename } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { BOOT_CHAINS, NEW_PROFILE, newProfile } from '../profile/new-profile.ts';
import type { BootChainName, NewProfile } from '../profile/new-profile.ts';
import { inspectProfile, MODEL_FORMATS } from '../profile/profile.ts';
import type { ModelFormat } from '../profile/profile.ts';
import { riskyChoices } from '../profile/risky-choices.ts';
import { toUtf8 } from '../bytes/text.ts';
import { cleanText, outputOf } from './output.ts';

/** Answers given as options; what is missing is asked on a terminal, else taken from the defaults. */
interface NewOptions {
  readonly hardwareClass?: string;
  readonly boot?: BootChainName;
  readonly modelId?: readonly string[];
  readonly onFailure?: NewProfile['onFailure'];
  readonly onLeaseExpired?: NewProfile['onLeaseExpired'];
  readonly offline?: number;
  readonly runtime?: string;
  readonly format?: readonly ModelFormat[];
}

const FAILURES = ['stop', 'last-good', 'degraded'] as const;
const LEASES = ['stop', 'degraded', 'continue'] as const;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `4h`, `7d`, in seconds. */
function duration(text: string): number {
  const [, count = '', unit = 's'] = /^(\d{1,7})([smhd])?$/.exec(text) ?? [];
  const seconds = count === '' ? 0 : Number(count) * (UNITS[unit] ?? 1);
  if (seconds < 3 || seconds > 30 * 86_400)
    throw new InvalidArgumentError('It must be like 30m, 4h or 7d, at most 30d.');
  return seconds;
}

type Ask = (question: string, before: string) => Promise<string>;

async function choice<T extends string>(ask: Ask, question: string, values: readonly T[], before: T): Promise<T> {
  const answer = await ask(`${question} (${values.join(', ')})`, before);
  const found = values.find((value) => value === answer);
  if (found === undefined) throw new TouchstoneError('USAGE', `${answer} is none of ${values.join(', ')}`);
  return found;
}

/** `ask` answers with `before` where nobody says anything else. */
async function answersFrom(id: string, options: NewOptions, ask: Ask): Promise<NewProfile> {
  const chains = Object.keys(BOOT_CHAINS) as BootChainName[];
  const list = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');
  const models = async (): Promise<string[]> =>
    list(await ask('Which models will it run? (ids)', NEW_PROFILE.modelIds.join(' ')));
  const offline = async (): Promise<number> => {
    try {
      return duration(await ask('How long may it be without its controller?', '4h'));
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw new TouchstoneError('USAGE', error.message);
      throw error;
    }
  };
  const runtime = async (): Promise<string> =>
    ask('Where is its inference runtime? (absolute path; empty: it is not measured)', '');
  const formats = async (): Promise<string[]> =>
    list(await ask(`Which formats do models have? (${MODEL_FORMATS.join(', ')})`, MODEL_FORMATS.join(' ')));
  const hardwareClass = options.hardwareClass ?? (await ask('What is its hardware class?', id));
  const bootChain = options.boot ?? (await choice(ask, 'What boots it?', chains, NEW_PROFILE.bootChain));
  const modelIds = options.modelId ?? (await models());
  const onFailure = options.onFailure ?? (await choice(ask, 'What if a model is not as signed?', FAILURES, 'stop'));
  const onLeaseExpired =
    options.onLeaseExpired ?? (await choice(ask, 'What if nobody vouched for it for so long?', LEASES, 'stop'));
  const offlineSeconds = options.offline ?? (await offline());
  const path = options.runtime ?? (await runtime());
  const given = options.format ?? (await formats());
  return {
    id,
    hardwareClass,
    bootChain,
    modelIds,
    onFailure,
    onLeaseExpired,
    offlineSeconds,
    runtime: path === '' ? null : path,
    // A word that is no format is a fault that the check of the profile names.
    formats: given as ModelFormat[],
  };
}

/** Asks the person at the terminal; where there is none, nobody. */
async function asked(id: string, options: NewOptions): Promise<NewProfile> {
  if (!process.stdin.isTTY) return answersFrom(id, options, async (_, before) => Promise.resolve(before));
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await answersFrom(id, options, async (question, before) => {
      const answer = (await asking.question(`${question} [${before}] `)).trim();
      return answer === '' ? before : answer;
    });
  } finally {
    asking.close();
  }
}

async function create(file: string, options: NewOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  if (!file.endsWith('.json'))
    throw new TouchstoneError('USAGE', `${file} must end in .json: its name is the profile's id`);
  const answers = await asked(basename(file, '.json'), options);
  const bytes = toUtf8(`${JSON.stringify(newProfile(answers), null, 2)}\n`);
  const read = inspectProfile(bytes);
  if ('faults' in read) {
    const words = read.faults.map(({ field, message }) => `${field}: ${message}`);
    throw new TouchstoneError('USAGE', `this would be no valid profile: ${words.join('; ')}`);
  }
  await writeFile(file, bytes, { flag: 'wx', mode: 0o644 }).catch((cause: unknown) => {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new ConfigError(isThere ? 'ALREADY_THERE' : 'CONFIG_INVALID', `${file} was not written`, { cause });
  });
  const { profile } = read.loaded;
  const { why } = BOOT_CHAINS[answers.bootChain];
  const warnings = riskyChoices(profile);
  const next = `touchstone profile check ${file}`;
  output.result({ file, id: profile.id, why, warnings: warnings.map((one) => ({ ...one })), next }, () =>
    [
      output.paint('green', `wrote ${cleanText(file)}`),
      `  events go to PCR ${profile.tpm.eventPcr}, boot PCRs ${profile.tpm.bootPcrs.join(', ') || 'none'}: ${why}`,
      ...profile.slots.map((slot) => `  slot ${slot.name} takes ${cleanText(slot.modelIds.join(', '))}`),
      ...(warnings.length === 0 ? [] : ['', output.paint('yellow', 'Know the price of:')]),
      ...warnings.map(({ field, message }) => `  ${field}: ${message}`),
      '',
      `Next: touchstone tpm doctor, on the device; ${cleanText(next)}; touchstone rehearse --profile ${cleanText(file)} …`,
    ].join('\n'),
  );
}

/** `touchstone profile new`. */
export function profileNewCommand(): Command {
  const choiceOf = (flags: string, says: string, values: readonly string[]): Option =>
    new Option(flags, says).choices([...values]);
  return new Command('new')
    .description('write a first profile: asks on a terminal, takes defaults elsewhere')
    .argument('<file>', 'the profile to write: ID.json')
    .option('--hardware-class <class>', 'what releases name to say that they may run on it (default: the id)')
    .addOption(choiceOf('--boot <chain>', 'what boots it: decides the PCRs', Object.keys(BOOT_CHAINS)))
    .option('--model-id <id...>', 'models that it runs, one slot each')
    .addOption(choiceOf('--on-failure <what>', 'what if a model is not as signed', FAILURES))
    .addOption(choiceOf('--on-lease-expired <what>', 'what if nobody vouched for it for so long', LEASES))
    .addOption(
      new Option('--offline <time>', 'how long it may be without its controller: 30m, 4h, 7d').argParser(duration),
    )
    .option('--runtime <path>', 'its inference runtime, absolute path on the device')
    .addOption(choiceOf('--format <format...>', 'formats of models', MODEL_FORMATS))
    .addHelpText(
      'after',
      '\nNothing is overwritten. firmware-profiles/README.md explains each choice.\n\nExample:\n  touchstone profile new camera.json --boot u-boot --model-id person-detector --offline 4h --format onnx',
    )
    .action(create);
}
