// `touchstone rehearse`: what a release will do on the devices of a profile, played on this machine before it ships.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { ConfigError, TouchstoneError } from '../errors.ts';
import type { Limits } from '../rehearse/cast.ts';
import type { Told } from '../rehearse/rehearse.ts';
import type { RehearsalReport } from '../rehearse/report.ts';
import { RULES } from '../rules/catalogue.ts';
import { EXIT } from './exit.ts';
import { readPublicKey } from './keys.ts';
import { each, wholeNumber } from './options.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json, Output } from './output.ts';

interface RehearseOptions {
  readonly release: string;
  readonly profile?: readonly string[];
  readonly key?: readonly string[];
  readonly fleet?: string;
  readonly from?: string;
  readonly slot?: string;
  readonly root?: string;
  readonly junit?: string;
  readonly maxMemory?: number;
  readonly maxDisk?: number;
}

const MIB = 1024 * 1024;

/** The story as it is played: on stdout for people, else among the messages. */
function told(output: Output, alone: boolean): Told {
  const say = (line: string): void => {
    if (output.json || !alone) output.note(line);
    else process.stdout.write(`${line}\n`);
  };
  return {
    before: ({ title, command }) => {
      say(`\n${output.paint('bold', title)}`);
      say(output.paint('dim', `  ${command}`));
    },
    after: ({ expected, seen, ms }) => {
      const mark = seen.ok ? output.paint('green', 'as expected') : output.paint('red', 'NOT AS EXPECTED');
      say(`  expected  ${cleanText(expected)}`);
      say(`  saw       ${cleanText(seen.saw)}`);
      say(`  ${mark} ${output.paint('dim', `(${(ms / 1000).toFixed(1)} s)`)}`);
      if (!seen.ok) for (const line of seen.more ?? []) if (line !== '') say(`    ${cleanText(line)}`);
      if (!seen.ok && seen.rule !== undefined && Object.hasOwn(RULES, seen.rule))
        say(`    what to do: touchstone explain ${cleanText(seen.rule)}`);
    },
  };
}

function words(output: Output, report: RehearsalReport): string {
  const { ok, rule, scenes, predicted, run, profile, resources, notes, release } = report;
  const passed = scenes.filter((scene) => scene.result === 'passed').length;
  const what = release === null ? 'the release' : `${release.modelId} ${release.version}`;
  const lines = [''];
  if (predicted !== null) {
    lines.push(
      `Every device of profile ${profile.id} will record for slot ${predicted.slot}, in PCR ${profile.eventPcr}:`,
      `  event     ${predicted.digest}`,
      `  manifest  ${predicted.manifest}`,
      `  statement ${predicted.statement}`,
    );
  }
  if (run !== null)
    lines.push(`This one's PCR ${profile.eventPcr}: predicted ${run.predictedPcr}`, `  measured ${run.measuredPcr}`);
  if (resources !== null) {
    const mib = (bytes: number): number => Math.ceil(bytes / MIB);
    lines.push(`It needed ${mib(resources.memoryBytes)} MiB of memory and ${mib(resources.diskBytes)} MiB of disk.`);
  }
  for (const note of notes) lines.push(output.paint('yellow', `Not shown by this rehearsal: ${cleanText(note)}`));
  const end = `${passed} of ${scenes.length} scenes as expected`;
  lines.push(
    ok
      ? output.paint('green', `${end}: ${cleanText(what)} is fit for ${profile.id}`)
      : output.paint(
          'red',
          `${end}: do not ship ${cleanText(what)} to ${profile.id}${rule === null ? '' : `: ${rule}`}`,
        ),
  );
  return lines.join('\n');
}

/** The profiles to play: those named, or all of the fleet's controller. Errors: USAGE; ConfigError. */
async function profilesOf({ profile, fleet }: RehearseOptions): Promise<readonly string[]> {
  if (profile !== undefined) return profile;
  if (fleet === undefined)
    throw new TouchstoneError('USAGE', 'give --profile FILE, or --fleet with a controller’s profiles');
  const folder = join(fleet, 'profiles');
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `${fleet} holds no profiles: give --profile FILE`, { cause });
  });
  const files = names.filter((name) => name.endsWith('.json')).toSorted();
  if (files.length === 0) throw new ConfigError('CONFIG_MISSING', `${folder} is empty: give --profile FILE`);
  return files.map((name) => join(folder, name));
}

async function rehearseOne(profileFile: string, options: RehearseOptions, output: Output): Promise<RehearsalReport> {
  const [{ rehearse: play }, { reportOf }, { signersByKey, signersOfFleet }, { Stage }] = await Promise.all([
    import('../rehearse/rehearse.ts'),
    import('../rehearse/report.ts'),
    import('../rehearse/signers.ts'),
    import('../testing/stage.ts'),
  ]);
  const { release, from, fleet, key = [], slot, root, maxMemory, maxDisk, junit } = options;
  const releases = from === undefined ? [release] : [release, from];
  const signers =
    fleet === undefined
      ? await signersByKey(await Promise.all(key.map(readPublicKey)), profileFile, releases)
      : await signersOfFleet(fleet, Date.now());
  const bytes = (mib: number | undefined): number | null => (mib === undefined ? null : mib * MIB);
  const limits: Limits = { memory: bytes(maxMemory), disk: bytes(maxDisk) };
  const [, main = ''] = process.argv;
  await using stage = await Stage.open();
  stage.endOnSignals();
  const plan = {
    main,
    profileFile,
    release,
    from: from ?? null,
    signers,
    slot: slot ?? null,
    root: root ?? null,
    limits,
  };
  return reportOf(await play(plan, stage, told(output, junit !== '-')));
}

async function rehearse(options: RehearseOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { key, fleet, junit } = options;
  if ((key === undefined) === (fleet === undefined)) {
    throw new TouchstoneError(
      'USAGE',
      'who may sign? Give --key with the publisher’s public key, or --fleet; not both',
    );
  }
  if (junit === '-' && output.json) throw new TouchstoneError('USAGE', '--junit - and --json both want stdout');
  const reports: RehearsalReport[] = [];
  for (const profileFile of await profilesOf(options)) reports.push(await rehearseOne(profileFile, options, output));
  const ok = reports.every((report) => report.ok);
  if (!ok) process.exitCode = EXIT.against;
  if (junit !== undefined) {
    const { junit: junitOf } = await import('../rehearse/junit.ts');
    const xml = junitOf(reports);
    if (junit === '-') {
      process.stdout.write(xml);
      return;
    }
    await writeFile(junit, xml);
  }
  output.result({ ok, rehearsals: reports as unknown as Json[] }, () =>
    reports.map((one) => words(output, one)).join('\n'),
  );
}

/** `touchstone rehearse`. */
export function rehearseCommand(): Command {
  return new Command('rehearse')
    .description('play a release against a firmware profile on this machine, before any device gets it')
    .requiredOption('--release <dir>', 'the release folder')
    .option('--profile <file>', 'firmware profile of the devices (repeatable)', each)
    .option('--key <file>', "the publisher's public key, PEM (repeatable)", each)
    .option(
      '--fleet <dir>',
      'folder with fleet.json and root.json, which name the publishers; its profiles/ without --profile',
    )
    .option('--from <dir>', 'the release that the devices run now: the upgrade from it, and the way back')
    .option('--slot <name>', 'the slot; by default the one the release is for')
    .option('--root <dir>', 'folder of the firmware image, for runtime and configs')
    .option('--max-memory <mib>', 'most memory that the agent may need', wholeNumber(1, 1_000_000))
    .option('--max-disk <mib>', 'most disk that the device’s state may need', wholeNumber(1, 1_000_000_000))
    .addOption(new Option('--junit <file>', 'write JUnit XML, for build servers; - for stdout'))
    .addHelpText(
      'after',
      `
Starts a software TPM, a broker, a controller and an agent in a folder of their own, and plays the release: signatures, installation,
proof, power cut, tampering. Needs swtpm, swtpm-tools and mosquitto; no root, no network. Leaves nothing behind.

Exit code 0: every scene as expected. 1: not; the report names the rule (touchstone explain RULE). 3: it could not be played here.

Example:
  touchstone rehearse --profile firmware-profiles/generic-linux.json --release releases/detector-2.1 \\
    --from releases/detector-2.0 --key publisher.pub.pem --junit rehearsal.xml`,
    )
    .action(rehearse);
}
