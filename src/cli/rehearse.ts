// `touchstone rehearse`: what a release will do on the devices of a profile, played on this machine before it ships.
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { TouchstoneError } from '../errors.ts';
import type { Limits } from '../rehearse/cast.ts';
import type { Told } from '../rehearse/rehearse.ts';
import type { RehearsalReport } from '../rehearse/report.ts';
import { RULES } from '../rules/catalogue.ts';
import { EXIT } from './exit.ts';
import { each, wholeNumber } from './options.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json, Output } from './output.ts';
import type { Job, JobOptions } from './rehearse-jobs.ts';

interface RehearseOptions extends JobOptions {
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
  const { ok, rule, fleet, scenes, predicted, run, profile, resources, notes, release } = report;
  const passed = scenes.filter((scene) => scene.result === 'passed').length;
  const what = release === null ? 'the release' : `${release.modelId} ${release.version}`;
  const lines = [''];
  if (fleet !== null) {
    const floor = fleet.floor === null ? '' : `, with floor ${fleet.floor}`;
    const runs = fleet.running === null ? 'have nothing in the slot' : `run release ${fleet.running.slice(0, 12)}`;
    lines.push(`Played for ${fleet.devices} of the fleet's devices: they ${cleanText(runs)}${floor}.`);
  }
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
  const skipped = scenes.filter((scene) => scene.result === 'skipped');
  if (skipped.length > 0) {
    const names = skipped.map((scene) => scene.name).join(', ');
    lines.push(output.paint('yellow', `${cleanText(skipped[0]?.saw ?? '')}: ${names}`));
  }
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

async function rehearseOne(job: Job, options: RehearseOptions, output: Output): Promise<RehearsalReport> {
  const [{ rehearse: play }, { reportOf }, { Stage }] = await Promise.all([
    import('../rehearse/rehearse.ts'),
    import('../rehearse/report.ts'),
    import('../testing/stage.ts'),
  ]);
  const { release, slot, root, maxMemory, maxDisk, junit } = options;
  const { profile, from, signers, group, notes } = job;
  const bytes = (mib: number | undefined): number | null => (mib === undefined ? null : mib * MIB);
  const limits: Limits = { memory: bytes(maxMemory), disk: bytes(maxDisk) };
  const [, main = ''] = process.argv;
  await using stage = await Stage.open();
  stage.endOnSignals();
  const plan = {
    main,
    profile,
    release,
    from,
    signers,
    slot: slot ?? null,
    root: root ?? null,
    limits,
    floor: group?.floor ?? null,
  };
  return reportOf(await play(plan, stage, told(output, junit !== '-')), group, notes);
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
  const { jobsOf } = await import('./rehearse-jobs.ts');
  const { jobs, notes } = await jobsOf(options);
  const reports: RehearsalReport[] = [];
  for (const job of jobs) reports.push(await rehearseOne(job, options, output));
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
  output.result({ ok, rehearsals: reports as unknown as Json[], notes: [...notes] }, () =>
    [...reports.map((one) => words(output, one)), ...notes.map((note) => output.paint('yellow', cleanText(note)))].join(
      '\n',
    ),
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
      '--fleet <dir|file|url>',
      'in the place of --key: folder of fleet.json and root.json, whose profiles/ are played without --profile; or what fleet export wrote, as a file or at an https address: played for the devices as they are',
    )
    .option(
      '--from <dir>',
      'the release that devices run now: the upgrade from it, and the way back (repeatable: each is played)',
      each,
    )
    .option('--slot <name>', 'the slot; by default the one the release is for')
    .option('--root <dir>', 'folder of the firmware image, for runtime and configs')
    .option('--max-memory <mib>', 'most memory that the agent may need', wholeNumber(1, 1_000_000))
    .option('--max-disk <mib>', 'most disk that the device’s state may need', wholeNumber(1, 1_000_000_000))
    .addOption(new Option('--junit <file>', 'write JUnit XML, for build servers; - for stdout'))
    .addHelpText(
      'after',
      `
Starts a software TPM, a broker, a controller and an agent in a folder of their own, and plays the release: signatures, installation,
trial, proof, power cuts, tampering, an older disk, a roll-back. Needs swtpm, swtpm-tools and mosquitto; no root, no network. Leaves
nothing behind, however it ends.

With --fleet and an export it is played once for all devices that have the same profile, release and version floor; of several --from,
each group of devices gets the one that it runs.

Exit code 0: every scene as expected. 1: not; the report names the rule (touchstone explain RULE). 3: it could not be played here.

Example:
  touchstone rehearse --profile firmware-profiles/generic-linux.json --release releases/detector-2.1 \\
    --from releases/detector-2.0 --key publisher.pub.pem --junit rehearsal.xml
  touchstone rehearse --fleet https://www.example.com/fleet.json --release releases/detector-2.1 --from releases/detector-2.0`,
    )
    .action(rehearse);
}
