// The options of `touchstone fleet show|rotate|revoke|sign|publish`.
import { Command, Option } from 'commander';
import type { RevokeOptions, RotateOptions } from './fleet-change.ts';
import type { SignOptions } from './fleet-root.ts';
import { each, wholeNumber } from './options.ts';

const ROOT_DAYS = 5 * 365;

function fleetOption(): Option {
  return new Option('--fleet <dir>', 'folder of fleet.json and root.json: of a device or a controller')
    .env('TOUCHSTONE_FLEET')
    .makeOptionMandatory();
}

function changing(command: Command): Command {
  return command
    .addOption(fleetOption())
    .requiredOption('--key <file>', 'private root key that signs now (repeatable); others sign later', each)
    .requiredOption('--out <file>', 'the new statement, to be carried from holder to holder')
    .option('--expires-days <n>', 'how long the new statement is good', wholeNumber(1, 36_500), ROOT_DAYS);
}

function showCommand(): Command {
  return new Command('show')
    .description('show who may sign what and until when; of a statement that is not published yet, what it changes')
    .argument('[file]', 'a statement on its way; default: the one in force')
    .addOption(fleetOption())
    .action(async (file: string | undefined, options: { fleet: string }, self: Command) =>
      (await import('./fleet-root.ts')).show(file, options, self),
    );
}

function rotateCommand(): Command {
  return changing(new Command('rotate'))
    .description('make the next root statement: new root keys, more keys for others, a later end')
    .option('--root-key <pub>', 'public root key; all of them together replace the ones before (repeatable)', each)
    .option('--threshold <n>', 'how many root keys decide together', wholeNumber(1, 16))
    .option('--publisher <pub=models>', 'public key and the model ids it may sign, a,b,c (repeatable)', each)
    .option('--release-threshold <model=n>', 'releases of this model need n publishers (repeatable)', each)
    .option('--floor-key <pub>', 'public key that may sign floor tokens (repeatable)', each)
    .option('--escrow-key <pub>', 'public P-256 key that devices seal the auth values of their TPMs to')
    .option(
      '--station-key <pub=profiles>',
      'public key of a factory line and the profiles it lets in, a,b (repeatable)',
      each,
    )
    .option('--operator-key <pub>', 'public key that may command devices (repeatable)', each)
    .option('--result-key <pub>', 'public key that may sign verdicts (repeatable)', each)
    .addHelpText(
      'after',
      `
Without other options it only moves the end. Keys of publishers, stations, operators and controllers are added: to end one, revoke it.
The statement counts once enough root keys of the statement before, and enough of those it names itself, have signed it.

Example:
  touchstone fleet rotate --fleet fleet/device --key root-1.key.pem --out root-2.json \\
    --root-key a.pub.pem --root-key b.pub.pem --root-key c.pub.pem --threshold 2`,
    )
    .action(async (options: RotateOptions, self: Command) => (await import('./fleet-change.ts')).rotate(options, self));
}

function revokeCommand(): Command {
  return changing(new Command('revoke'))
    .description('make the root statement by which a key counts no more')
    .argument('<key-id>', 'as fleet show prints it, or its beginning')
    .requiredOption('--reason <text>', 'for people; every finding about the key shows it')
    .addHelpText(
      'after',
      `
No device lets in a release of a revoked key any more. A model that runs already goes on, and its device is shown with a warning:
withdraw a release (touchstone release withdraw) when it must not run either.

Example:
  touchstone fleet revoke 3f9c20d1 --reason 'laptop stolen' --fleet fleet/device --key root-1.key.pem --out root-2.json`,
    )
    .action(async (id: string, options: RevokeOptions, self: Command) =>
      (await import('./fleet-change.ts')).revoke(id, options, self),
    );
}

function signCommand(): Command {
  return new Command('sign')
    .description('sign a root statement as another holder; look at it first with fleet show FILE')
    .argument('<file>', 'the statement; the signature is added to it')
    .addOption(fleetOption())
    .requiredOption('--key <file>', 'private root key')
    .action(async (file: string, options: SignOptions, self: Command) =>
      (await import('./fleet-root.ts')).sign(file, options, self),
    );
}

function publishCommand(): Command {
  return new Command('publish')
    .description('put a root statement in force: a running controller reads it and hands it to the devices')
    .argument('<file>', 'the statement, signed by enough')
    .requiredOption('--to <dir>', 'state directory of a controller, or what ships to devices (repeatable)', each)
    .action(async (file: string, options: { to: readonly string[] }, self: Command) =>
      (await import('./fleet-root.ts')).publish(file, options, self),
    );
}

/** The commands of a fleet that exists. */
export function rootCommands(): Command[] {
  return [showCommand(), rotateCommand(), revokeCommand(), signCommand(), publishCommand()];
}
