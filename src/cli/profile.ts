// `touchstone profile`: is this firmware profile one that devices and controller take, what is wrong where, and what is risky.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { inspectProfile } from '../profile/profile.ts';
import type { Profile } from '../profile/profile.ts';
import { jsonLines, lineOf } from '../profile/json-lines.ts';
import { riskyChoices } from '../profile/risky-choices.ts';
import { fromUtf8, toHex } from '../bytes/text.ts';
import { EXIT } from './exit.ts';
import type { ConfigOptions } from './profile-config.ts';
import { cleanText, outputOf } from './output.ts';
import { profileLearnCommand } from './profile-learn.ts';
import { profileNewCommand } from './profile-new.ts';

/** What a device with this profile does, in sentences. */
function summaryOf(profile: Profile, digest: string): string[] {
  return [
    `  profile ${profile.id} for ${profile.hardwareClass}, digest ${digest}`,
    `  events go to PCR ${profile.tpm.eventPcr}; boot PCRs ${profile.tpm.bootPcrs.join(', ') || 'none'}`,
    ...profile.slots.map(
      (slot) =>
        `  slot ${slot.name}: ${slot.modelIds.map((id) => cleanText(id)).join(', ')}; on failure ${slot.onFailure}, on an expired lease ${slot.onLeaseExpired}`,
    ),
    `  a change is found within ${profile.maxDetectionSeconds} s; evidence every ${profile.attestEverySeconds} s; a result is good for ${profile.leaseSeconds} s`,
  ];
}

async function check(file: string, command: Command): Promise<void> {
  const output = outputOf(command);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  // As compilers write it, so that editors find the place.
  const at = (line: number, field: string): string => `${cleanText(file)}:${line}: ${cleanText(field)}`;
  const read = inspectProfile(bytes);
  if ('faults' in read) {
    process.exitCode = EXIT.against;
    const faults = read.faults.toSorted((a, b) => a.line - b.line);
    output.result({ file, valid: false, faults: faults.map((fault) => ({ ...fault })), warnings: [] }, () =>
      [
        output.paint('red', `${cleanText(file)}: not a valid profile`),
        ...faults.map(
          ({ line, field, message }) => `  ${at(line, field === '' ? 'the file' : field)}: ${cleanText(message)}`,
        ),
      ].join('\n'),
    );
    return;
  }
  const { profile, digest } = read.loaded;
  const lines = jsonLines(fromUtf8(bytes));
  const warnings = riskyChoices(profile).map((choice) => ({ ...choice, line: lineOf(lines, choice.field) }));
  output.result({ file, valid: true, id: profile.id, digest: toHex(digest), faults: [], warnings }, () =>
    [
      output.paint('green', `${cleanText(file)}: valid`),
      ...summaryOf(profile, toHex(digest)),
      ...(warnings.length === 0 ? [] : ['', output.paint('yellow', 'Know the price of:')]),
      ...warnings.map(({ line, field, message }) => `  ${at(line, field)}: ${message}`),
    ].join('\n'),
  );
}

/** `touchstone profile`. */
export function profileCommand(): Command {
  const command = new Command('profile').description('work with firmware profiles');
  command
    .command('check')
    .description('check a firmware profile: every fault, and every risky choice')
    .argument('<file>', 'the profile, JSON')
    .addHelpText(
      'after',
      '\nExit code 1 for a fault. A risky choice is shown and allowed.\n\nExample:\n  touchstone profile check firmware-profiles/generic-linux.json',
    )
    .action(async (file: string, _options: unknown, self: Command) => check(file, self));
  command.addCommand(profileNewCommand());
  command.addCommand(profileLearnCommand());
  command
    .command('config')
    .description('measure config files, for the configs of a slot in a profile')
    .argument('<path...>', 'absolute path on the device: a file, a folder, or a pattern with *, ? and **')
    .option('--root <dir>', 'folder of a firmware image in which the paths are looked for')
    .addHelpText(
      'after',
      `
The digest covers names, sizes and bytes of every file that the path matches. A device with other files there is not trusted.

Example:
  touchstone profile config /etc/detector/thresholds.json '/etc/detector/regions/*.json' --root image`,
    )
    .action(async (paths: string[], options: ConfigOptions, self: Command) =>
      (await import('./profile-config.ts')).config(paths, options, self),
    );
  return command;
}
