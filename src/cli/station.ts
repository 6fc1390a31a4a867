// The options of `touchstone station`: a factory line without a controller says which endorsement keys may enrol.
import { Command, Option } from 'commander';
import { each, wholeNumber } from './options.ts';
import type { ShowOptions, StationSignOptions } from './station-run.ts';

const fleetOption = (): Option =>
  new Option('--fleet <dir>', 'folder of fleet.json and root.json, a copy')
    .env('TOUCHSTONE_FLEET')
    .makeOptionMandatory();

/** `touchstone station`. */
export function stationCommand(): Command {
  const command = new Command('station').description(
    'sign at a factory line which devices may enrol, without a network',
  );
  command
    .command('sign')
    .description(
      'check what the line read of its TPMs, and sign it as one batch: exit code 1 when a device must not pass',
    )
    .argument('<line...>', 'files of touchstone tpm info --json, CSV tables, or folders of them')
    .addOption(fleetOption())
    .requiredOption('--key <file>', 'private key of this station; the fleet root names it (fleet rotate --station-key)')
    .requiredOption('--profile <id>', 'what these devices may enrol as (repeatable)', each)
    .requiredOption('--ek-roots <dir>', 'roots, intermediates and revocation lists of TPM vendors, as in a controller')
    .requiredOption('--out <file>', 'the batch')
    .option('--expires-days <n>', 'how long its devices have to enrol', wholeNumber(1, 3660), 180)
    .option('--uncertified', 'also take keys that no vendor certifies; a revoked certificate is never taken')
    .option('--demand-crls', 'take no certificate that no revocation list answers for')
    .addHelpText(
      'after',
      `
A table has the columns ek_public (the key as the TPM gives it, TPMT_PUBLIC or TPM2B_PUBLIC) and certificate (DER), both in hex or
base64, and may have serial and chain. A batch is permission, no proof: each device still proves at enrolment that it holds its TPM,
and gets the tier that its certificate gives it then.

Example, after touchstone keygen made the key and touchstone fleet rotate --station-key station.pub.pem=cam-a named it:
  mkdir line
  touchstone tpm info --json >line/cam-0017.json
  touchstone station sign line --profile cam-a --fleet fleet --key station.key.pem --ek-roots ek-roots --out batch-7.json
  touchstone device allow --import batch-7.json --state fleet/controller`,
    )
    .action(async (lines: string[], options: StationSignOptions, self: Command) =>
      (await import('./station-run.ts')).signLine(lines, options, self),
    );
  command
    .command('show')
    .description('judge a batch and show what is in it: exit code 0 it counts now, 1 it does not')
    .argument('<batch>', 'what station sign wrote')
    .addOption(fleetOption())
    .option('--csv <file>', 'also write its devices as a table')
    .action(async (file: string, options: ShowOptions, self: Command) =>
      (await import('./station-run.ts')).showBatch(file, options, self),
    );
  return command;
}
