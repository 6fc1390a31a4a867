// `touchstone profile learn`: the boot of a golden device becomes reference values, every event of it explained.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import type { ExplainedEvent } from '../boot/explain.ts';
import type { GoldenBoot, LearnedBoot } from '../boot/learn.ts';
import type { BootReferenceFile, ComponentReference } from '../boot/reference-file.ts';
import { ConfigError } from '../errors.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { EXIT } from './exit.ts';
import { wholeNumber } from './options.ts';
import { cleanText, outputOf, table } from './output.ts';
import type { Output } from './output.ts';

interface LearnOptions {
  readonly profile: string;
  readonly eventLog: string;
  readonly ima?: string;
  readonly pcrs?: string;
  readonly name: string;
  readonly coversAgent?: boolean;
  readonly components?: string;
  readonly merge?: string;
  readonly keep: number;
  readonly out: string;
}

async function fileOf(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${path}`, { cause });
  });
}

/** What `read` makes of a file; a file that is not of its format is named. */
async function readAs<T>(path: string, read: (bytes: Buffer) => T): Promise<T> {
  const { WireError } = await import('../errors.ts');
  const bytes = await fileOf(path);
  try {
    return read(bytes);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new ConfigError('CONFIG_INVALID', `${path}: ${cause.message}`, { cause });
  }
}

async function goldenBoot(options: LearnOptions, wanted: readonly number[]): Promise<GoldenBoot> {
  const [{ readFirmwareLog }, { readImaList }, { readPcrValues }] = await Promise.all([
    import('../boot/event-log.ts'),
    import('../boot/ima-list.ts'),
    import('../boot/pcr-values.ts'),
  ]);
  return {
    log: await readAs(options.eventLog, readFirmwareLog),
    ima: options.ima === undefined ? null : await readAs(options.ima, readImaList),
    pcrs: options.pcrs === undefined ? null : await readAs(options.pcrs, readPcrValues),
    wanted,
  };
}

/** The software of this installation, as its agent would measure it. */
async function componentsHere(fleet: string, { profile, digest }: LoadedProfile): Promise<ComponentReference> {
  const [{ HashPool }, { measureComponents }, { toHex }] = await Promise.all([
    import('../files/hash-pool.ts'),
    import('../measure/components.ts'),
    import('../bytes/text.ts'),
  ]);
  const trust = await Promise.all([fileOf(join(fleet, 'fleet.json')), fileOf(join(fleet, 'root.json'))]);
  await using pool = new HashPool();
  const measured = await measureComponents({
    profileDigest: digest,
    trustBytes: Buffer.concat(trust),
    runtime: profile.runtime,
    pool,
  });
  return {
    agent: toHex(measured.agent),
    node: toHex(measured.node),
    profile: toHex(measured.profile),
    trust: toHex(measured.trust),
    runtime: measured.runtime === null ? null : toHex(measured.runtime),
    gateMode: measured.gateMode,
  };
}

async function referenceFile(
  options: LearnOptions,
  loaded: LoadedProfile,
  learned: LearnedBoot,
): Promise<BootReferenceFile> {
  const { mergeReferences, readBootReferenceFile } = await import('../boot/reference-file.ts');
  const { components: fleet, merge, name, keep } = options;
  const file: BootReferenceFile = {
    v: 1,
    profile: loaded.profile.id,
    bank: 'sha256',
    coversAgent: options.coversAgent === true,
    boots: [{ name, pcrs: learned.pcrs }],
    components: fleet === undefined ? null : [await componentsHere(fleet, loaded)],
  };
  return merge === undefined ? file : mergeReferences(readBootReferenceFile(await fileOf(merge), merge), file, keep);
}

function eventTable(events: readonly ExplainedEvent[]): string {
  const rows = events.map(({ index, pcr, type, meaning, detail, bound, afterSeparator }) => [
    String(index),
    pcr > 23 ? '-' : String(pcr),
    type,
    `${meaning}: ${cleanText(detail)}${afterSeparator ? ' (after the firmware closed this PCR)' : ''}`,
    bound ? 'measured' : 'not proved',
  ]);
  return table(['#', 'PCR', 'type (as the log says)', 'what it is', 'data'], rows);
}

function learnedText(output: Output, learned: LearnedBoot, events: readonly ExplainedEvent[], end: string): string {
  const { pcrs, uses, secureBoot, ima, faults, notes } = learned;
  return [
    eventTable(events),
    '',
    ...Object.entries(pcrs).map(([pcr, value]) => `PCR ${pcr.padStart(2)}  ${value}  ${uses[pcr] ?? ''}`),
    `secure boot: ${secureBoot}`,
    ...(ima === null ? [] : [`PCR 10 is explained by ${ima.explained} records of the kernel's list`]),
    ...notes.map((note) => `${output.paint('yellow', 'note')}: ${note}`),
    ...faults.map((fault) => `${output.paint('red', 'fault')}: ${fault}`),
    end,
  ].join('\n');
}

async function learn(options: LearnOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const [{ explainFirmwareLog }, { learnBoot }, { loadProfile }, { writeFileDurably }] = await Promise.all([
    import('../boot/explain.ts'),
    import('../boot/learn.ts'),
    import('../profile/profile.ts'),
    import('../files/durable.ts'),
  ]);
  const loaded = loadProfile(await fileOf(options.profile), options.profile);
  const boot = await goldenBoot(options, loaded.profile.tpm.bootPcrs);
  const learned = await readAs(options.eventLog, () => learnBoot(boot));
  const events = explainFirmwareLog(boot.log);
  const { secureBoot, ima, faults, notes } = learned;
  const said = {
    secureBoot,
    ima: ima === null ? null : { ...ima },
    faults,
    notes,
    events: events.map((one) => ({ ...one })),
  };
  if (faults.length > 0) {
    process.exitCode = EXIT.against;
    output.result({ learned: false, ...said, reference: null }, () =>
      learnedText(output, learned, events, output.paint('red', 'Nothing was learned.')),
    );
    return;
  }
  const reference = await referenceFile(options, loaded, learned);
  const text = `${JSON.stringify(reference, null, 2)}\n`;
  await writeFileDurably(options.out, text, 0o644);
  output.result({ learned: true, ...said, reference: JSON.parse(text) }, () =>
    learnedText(
      output,
      learned,
      events,
      `${output.paint('green', options.out)}: ${reference.boots.length === 1 ? 'one boot' : `${reference.boots.length} boots`} of profile ${reference.profile}; put it in the controller's references folder as ${reference.profile}.json`,
    ),
  );
}

/** `touchstone profile learn`. */
export function profileLearnCommand(): Command {
  return new Command('learn')
    .description("turn a golden device's boot into reference values for its profile, and explain its event log")
    .requiredOption('--profile <file>', 'firmware profile whose boot PCRs are learned')
    .requiredOption('--event-log <file>', 'firmware event log: /sys/kernel/security/tpm0/binary_bios_measurements')
    .option('--ima <file>', "kernel's list: /sys/kernel/security/ima/binary_runtime_measurements (or ascii_…)")
    .option('--pcrs <file>', 'what the TPM says: output of tpm2_pcrread sha256, or lines of PCR and value')
    .option('--name <text>', 'which version this is, for people', 'golden device')
    .option(
      '--covers-agent',
      'these PCRs cover kernel, first file system, agent, gate and runtime (your word; needed for A2)',
    )
    .option('--components <dir>', 'on the golden device: pin its software too; DIR holds fleet.json and root.json')
    .option('--merge <file>', 'keep newer boots of this reference file beside the new one')
    .option('--keep <count>', 'how many boots the file holds at most', wholeNumber(1, 16), 2)
    .requiredOption('--out <file>', 'reference file to write')
    .action(async (options: LearnOptions, self: Command) => learn(options, self));
}
