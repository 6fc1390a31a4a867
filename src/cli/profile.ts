// `touchstone profile check FILE`: is this firmware profile one that devices and controller take, and if not, what is wrong where.
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import { inspectProfile } from '../profile/profile.ts';
import { toHex } from '../bytes/text.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf } from './output.ts';

async function check(file: string, command: Command): Promise<void> {
  const output = outputOf(command);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  const read = inspectProfile(bytes);
  if ('faults' in read) {
    process.exitCode = EXIT.against;
    output.result({ file, valid: false, faults: read.faults.map((fault) => ({ ...fault })) }, () =>
      [
        output.paint('red', `${file}: not a valid profile`),
        ...read.faults.map(
          (fault) => `  ${cleanText(fault.field === '' ? 'the file' : fault.field)}: ${cleanText(fault.message)}`,
        ),
      ].join('\n'),
    );
    return;
  }
  const { profile, digest } = read.loaded;
  output.result({ file, valid: true, id: profile.id, digest: toHex(digest), faults: [] }, () =>
    [
      output.paint('green', `${file}: valid`),
      `  profile ${profile.id} for ${profile.hardwareClass}, digest ${toHex(digest)}`,
      `  events go to PCR ${profile.tpm.eventPcr}; boot PCRs ${profile.tpm.bootPcrs.join(', ') || 'none'}`,
      ...profile.slots.map(
        (slot) =>
          `  slot ${slot.name}: ${slot.modelIds.join(', ')}; on failure ${slot.onFailure}, on an expired lease ${slot.onLeaseExpired}`,
      ),
      `  a change is found within ${profile.maxDetectionSeconds} s; evidence every ${profile.attestEverySeconds} s; a result is good for ${profile.leaseSeconds} s`,
    ].join('\n'),
  );
}

/** `touchstone profile`. */
export function profileCommand(): Command {
  const command = new Command('profile').description('work with firmware profiles');
  command
    .command('check')
    .description('check a firmware profile and name every fault')
    .argument('<file>', 'the profile, JSON')
    .action(async (file: string, _options: unknown, self: Command) => check(file, self));
  return command;
}
