// The options of `touchstone floor`: version floors in the TPMs of devices, moved only by what the holders of two keys sign.
import { Command, Option } from 'commander';
import type { FirstTokenOptions, TokenOptions } from './floor-tokens.ts';
import { stateOption } from './controller.ts';
import { secondsOf } from './device.ts';
import type { GiveOptions, RequestOptions } from './floor-device.ts';
import { each, wholeNumber } from './options.ts';

const version = wholeNumber(0, Number.MAX_SAFE_INTEGER);

function signing(command: Command, key: string): Command {
  return command
    .addOption(
      new Option('--fleet <dir>', 'folder of fleet.json and root.json').env('TOUCHSTONE_FLEET').makeOptionMandatory(),
    )
    .requiredOption('--key <file>', key);
}

function tokenCommand(): Command {
  return signing(new Command('token'), "the fleet's private floor key; the recovery key for a longer step")
    .description('sign what lets every device of the fleet raise the floor of a slot to one security version')
    .requiredOption('--profile <file>', 'firmware profile that says which floor is whose')
    .requiredOption('--slot <name>', 'slot of the profile')
    .option('--release <dir>', 'to the security version of this release; the token is put into its folder')
    .option('--to <version>', 'to this security version', version)
    .option(
      '--max-step <n>',
      'from at most so far below; by default what the profile allows',
      wholeNumber(1, 1_000_000),
    )
    .option('--out <file>', 'the token; with --release its floor-token.json')
    .addHelpText(
      'after',
      `
A floor never goes down: not by an older disk, not by whoever owns the controller or a publisher's key. A release above the floor
of its slot is refused without its token, so raise the security version of a release only to withdraw what is older.

Example:
  touchstone floor token --release releases/detector-2.1 --profile cam.json --slot detector \\
    --fleet fleet/device --key fleet/root/floor.key.pem`,
    )
    .action(async (options: TokenOptions, self: Command) => (await import('./floor-tokens.ts')).token(options, self));
}

function firstTokenCommand(name: string, description: string, more: string): Command {
  return signing(new Command(name), "the fleet's private floor recovery key")
    .description(description)
    .argument('<request>', 'what floor request wrote, or floor-request.json of the state directory of the device')
    .requiredOption('--out <file>', 'the token')
    .option('--profile <file>', 'firmware profile that says which floor is whose')
    .option('--at <slot=version>', 'floor of a slot, 0 where left out (repeatable)', each)
    .addHelpText('after', `\n${more}`)
    .action(async (request: string, options: FirstTokenOptions, self: Command) =>
      (await import('./floor-tokens.ts')).firstToken(request, options, self),
    );
}

function requestCommand(): Command {
  return new Command('request')
    .description('write down what a device asks for its version floors with, for whoever holds the recovery key')
    .argument('<device>', 'id, beginning of an id, or label')
    .requiredOption('--out <file>', 'the request')
    .addOption(stateOption())
    .action(async (device: string, options: RequestOptions, self: Command) =>
      (await import('./floor-device.ts')).request(device, options, self),
    );
}

function giveCommand(): Command {
  return new Command('give')
    .description('send a device the token that gives it its floors: exit code 0 set, 1 refused, 3 no word in time')
    .argument('<device>', 'id, beginning of an id, or label')
    .requiredOption('--token-file <file>', 'what floor first-token or floor recover made')
    .addOption(new Option('--timeout <seconds>', 'how long to wait for its word').default(60).argParser(secondsOf))
    .addOption(stateOption())
    .addHelpText(
      'after',
      `
Example:
  touchstone floor request cam-7 --state fleet/controller --out request.json
  touchstone floor first-token request.json --fleet fleet/device --key root/floor-recovery.key.pem --out token.json
  touchstone floor give cam-7 --state fleet/controller --token-file token.json`,
    )
    .action(async (device: string, options: GiveOptions, self: Command) =>
      (await import('./floor-device.ts')).give(device, options, self),
    );
}

/** `touchstone floor`. */
export function floorCommand(): Command {
  return new Command('floor')
    .description('sign what moves the version floors in the TPMs of devices')
    .addCommand(tokenCommand())
    .addCommand(requestCommand())
    .addCommand(giveCommand())
    .addCommand(
      firstTokenCommand(
        'first-token',
        'sign what gives one device its floors',
        `A device whose profile names floors asks for them, and can load nothing before it has its token: floor request writes down what
an enrolled device asks with, and floor give sends it the token. A device without a controller writes its request into its state
directory, and takes the token from there at its next start.
The token is good once and on this device only.

Example:
  touchstone floor first-token floor-request.json --fleet fleet/device --key fleet/root/floor-recovery.key.pem --out token.json`,
      ),
    )
    .addCommand(
      firstTokenCommand(
        'recover',
        'sign what gives one device its floors again, after they were deleted',
        `Whoever owns a TPM can delete its floors; the device then loads nothing and writes a new request. Say with --at what the
floors were: below that, old releases would be let in again.

Example:
  touchstone floor recover floor-request.json --profile cam.json --at detector=7 --fleet fleet/device \\
    --key fleet/root/floor-recovery.key.pem --out token.json`,
      ),
    );
}
