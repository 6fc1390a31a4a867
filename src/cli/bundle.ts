// `touchstone bundle …`: upgrades for devices that nobody can reach: one file in, one receipt out, accepted by the controller later.
import { Command, InvalidArgumentError, Option } from 'commander';
import type { BundleAcceptOptions } from './bundle-accept.ts';
import type { BundleApplyOptions } from './bundle-apply.ts';
import type { BundleMakeOptions } from './bundle-make.ts';
import { stateOption } from './controller.ts';
import { agentStateOption } from './options.ts';

const MAX_DAYS = 366;

function days(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || value > MAX_DAYS) {
    throw new InvalidArgumentError(`it is a number of days, at most ${MAX_DAYS}`);
  }
  return value;
}

/** `touchstone bundle`. */
export function bundleCommand(): Command {
  const command = new Command('bundle')
    .description('upgrade a device that has no network, with files that are carried there and back')
    .addHelpText(
      'after',
      `
The way of an upgrade:
  touchstone bundle make DEVICE --release ID --out stick/up.bundle         at the controller
  touchstone bundle apply stick/up.bundle --receipt stick/up.receipt       on the device
  touchstone bundle accept stick/up.receipt --result stick/up.result       at the controller
  touchstone bundle apply stick/up.result                                  on the device, when somebody goes there again

A bundle is for one device and one slot, and is done once. Its receipt is evidence with a quote: it counts once, and only
while the controller has accepted nothing newer of that device.`,
    );
  command
    .command('make')
    .description('write all that a device needs for an upgrade into one file')
    .argument('<device>', 'id, beginning of an id, or label')
    .requiredOption('--release <id>', 'the release id, or its beginning')
    .addOption(new Option('--slot <name>', 'the slot; by default the one the release is for'))
    .requiredOption('--out <file>', 'the bundle; must not be there yet')
    .addOption(
      new Option('--valid-for <days>', 'how long it may be applied, and its receipt counts')
        .default(30)
        .argParser(days),
    )
    .addOption(stateOption())
    .action(async (device: string, options: BundleMakeOptions, self: Command) => {
      await (await import('./bundle-make.ts')).makeBundle(device, options, self);
    });
  command
    .command('apply')
    .description(
      'hand a bundle, or a signed result, to the agent of this device: exit code 0 done, 1 refused, rolled back or not trusted, 3 no agent',
    )
    .argument('<file>', 'a bundle, or the result of a receipt')
    .option('--receipt <file>', 'where to write the receipt')
    .addOption(
      new Option('--when <when>', 'make the receipt when the trial has ended, or when it begins')
        .choices(['decided', 'trial'])
        .default('decided'),
    )
    .addOption(agentStateOption())
    .addHelpText(
      'after',
      `
Where only a result can end a trial (commitAfterSeconds is never, or not set), the receipt is made when the release is healthy, and
the result that is carried back ends its trial.`,
    )
    .action(async (file: string, options: BundleApplyOptions, self: Command) => {
      await (await import('./bundle-apply.ts')).applyCarried(file, options, self);
    });
  command
    .command('accept')
    .description('judge the evidence in a receipt: exit code 0 accepted and trusted, 1 not')
    .argument('<receipt>', 'what touchstone bundle apply wrote')
    .option('--result <file>', 'where to write the signed result for the way back')
    .addOption(stateOption())
    .action(async (receipt: string, options: BundleAcceptOptions, self: Command) => {
      await (await import('./bundle-accept.ts')).acceptReceipt(receipt, options, self);
    });
  return command;
}
