// `touchstone release`: make releases, put them among those of a fleet, list them, withdraw them.
import { Command, Option } from 'commander';
import { each, moment, wholeNumber } from './options.ts';
import type { CountersignOptions } from './release-countersign.ts';
import type { AddOptions, ListOptions } from './release-fleet.ts';
import type { MakeOptions, WithdrawOptions } from './release-make.ts';

const stateOption = (mandatory: boolean): Option => {
  const option = new Option('--state <dir>', 'state directory of the controller').env('TOUCHSTONE_STATE');
  return mandatory ? option.makeOptionMandatory() : option;
};
const keyOption = (): Option =>
  new Option('--key <file>', "the publisher's private key, PEM; - for standard input")
    .env('TOUCHSTONE_KEY')
    .makeOptionMandatory();
const version = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const start = moment('start');
const end = moment('end');

function makeCommand(): Command {
  return new Command('make')
    .description('make a release: the model, its signature and its passport')
    .argument('<model>', 'folder or file')
    .addOption(keyOption())
    .requiredOption('--model-id <id>', 'the model that this is a release of')
    .requiredOption('--release-version <text>', 'for people; never compared')
    .requiredOption('--security-version <n>', 'raise it to withdraw everything older for good', version)
    .requiredOption('--slot-role <role>', 'role of the slots that it may go into')
    .requiredOption('--hardware-class <class...>', 'hardware classes that it may run on')
    .requiredOption('--out <dir>', 'the release folder to make')
    .option('--minimum-agent <version>', 'oldest agent that may install it', '0.0.0')
    .option('--not-before <day>', 'first day or time of installation, UTC', start)
    .option('--not-after <day>', 'last day or time of installation, UTC; what runs goes on', end)
    .option('--predecessor <id>', 'release id of the one before')
    .option('--withdraw <id>', 'release id that must not be installed any more (repeatable)', each)
    .option('--intended-use <text>', 'what it is for')
    .option('--model-card <path>', 'path of the model card inside the model')
    .option('--health-check <path>', 'path inside the model of the description of its health check')
    .option('--attestation <type=file>', 'digest of an attestation: in-toto, SLSA, ML-BOM (repeatable)', each)
    .option('--pccp-change-id <id>', 'the planned change that this release is')
    .option('--link', 'hard links instead of copies: quick, but who later writes into the model spoils the release')
    .addHelpText(
      'after',
      `
DIR gets model/, model.sig and passport.json, and is there as a whole or not at all. Files are copied (cloned where the file
system can), and what is signed is the copy. Left out at the top level: .git, .gitignore, .gitattributes, .github, model.sig.
Any tool for OpenSSF Model Signing verifies model.sig.

Example:
  touchstone release make models/detector --key publisher.key.pem --model-id detector --release-version 2.1 \\
    --security-version 3 --slot-role detector --hardware-class cam-a cam-b --out releases/detector-2.1`,
    )
    .action(async (model: string, options: MakeOptions, self: Command) =>
      (await import('./release-make.ts')).make(model, options, self),
    );
}

function addCommand(): Command {
  return new Command('add')
    .description("put a release among those of a fleet, after judging it by the fleet's key table")
    .argument('<release>', 'release folder')
    .addOption(stateOption(true))
    .option('--link', 'hard links instead of copies')
    .addHelpText(
      'after',
      `
Every byte is verified before the fleet may use it; a refused release leaves nothing behind (exit code 1).

Example:
  touchstone release add releases/detector-2.1 --state fleet/controller`,
    )
    .action(async (folder: string, options: AddOptions, self: Command) =>
      (await import('./release-fleet.ts')).add(folder, options, self),
    );
}

function listCommand(): Command {
  return new Command('list')
    .description('list the releases of a fleet, and what is wrong with those that cannot be used')
    .addOption(stateOption(true))
    .action(async (options: ListOptions, self: Command) => (await import('./release-fleet.ts')).list(options, self));
}

function withdrawCommand(): Command {
  return new Command('withdraw')
    .description('make the release that withdraws others: a good one again, under a new passport')
    .argument('<release...>', 'releases to withdraw: ids or release folders')
    .requiredOption('--replacement <dir>', 'folder of the good release that devices should have instead')
    .addOption(keyOption())
    .requiredOption('--out <dir>', 'the release folder to make')
    .option('--security-version <n>', 'of the new release (default: one above the withdrawn ones)', version)
    .option('--release-version <text>', "for people (default: the replacement's)")
    .addOption(stateOption(false))
    .option('--link', 'hard links instead of copies')
    .addHelpText(
      'after',
      `
Only a publisher can withdraw, and only by a signed passport: this makes the replacement again with one that names the withdrawn
releases. Devices refuse those as soon as the controller knows the new release, and for good once they run it.

The security version must rise above the withdrawn ones. A withdrawal without that is only remembered on the device's disk, and
who restores an older disk makes it forget; a higher security version cannot be forgotten where the TPM holds the floor.

Example:
  touchstone release withdraw 5f0c… --replacement releases/detector-2.0 --key publisher.key.pem --out releases/detector-2.0b \\
    --state fleet/controller`,
    )
    .action(async (releases: string[], options: WithdrawOptions, self: Command) =>
      (await import('./release-make.ts')).withdraw(releases, options, self),
    );
}

function countersignCommand(): Command {
  return new Command('countersign')
    .description('sign a release as another publisher, after reading every byte of it')
    .argument('<release>', 'release folder; the signature is added to its passport')
    .addOption(keyOption())
    .addOption(
      new Option('--fleet <dir>', 'folder of fleet.json and root.json').env('TOUCHSTONE_FLEET').makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      `
For models of which the root says that several publishers must sign (touchstone fleet rotate --release-threshold). The release
keeps its id.

Example:
  touchstone release countersign releases/detector-2.1 --key second.key.pem --fleet fleet/device`,
    )
    .action(async (folder: string, options: CountersignOptions, self: Command) =>
      (await import('./release-countersign.ts')).countersign(folder, options, self),
    );
}

/** `touchstone release`. */
export function releaseCommand(): Command {
  return new Command('release')
    .description('make, publish and withdraw releases')
    .addCommand(makeCommand())
    .addCommand(countersignCommand())
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(withdrawCommand());
}
