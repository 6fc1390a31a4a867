// `touchstone fleet init`: every key and file of a new fleet, and what to do with them.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { controllerFolderCommand } from './fleet-controller.ts';
import { exportCommand } from './fleet-export.ts';
import { rootCommands } from './fleet-commands.ts';
import { each, wholeNumber } from './options.ts';
import { cleanText, outputOf } from './output.ts';

interface InitOptions {
  readonly out: string;
  readonly modelId?: readonly string[];
  readonly profile?: readonly string[];
  readonly brokerHost: string;
  readonly bind?: string;
  readonly fleetPort: number;
  readonly enrolPort: number;
  readonly rootKeys: number;
  readonly threshold: number;
}

const LOCAL = new Set(['localhost', '127.0.0.1', '::1']);
const DEFAULT_MODEL_ID = 'main-model';

async function assertNew(dir: string): Promise<void> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new ConfigError('CONFIG_INVALID', `${dir} cannot become the folder of a fleet`, { cause: error });
  });
  if (names.length > 0) {
    throw new ConfigError('ALREADY_THERE', `${dir} is not empty; nothing was written`);
  }
}

async function init(options: InitOptions, command: Command): Promise<void> {
  const [{ makeFleet }, { STATE_FILES }, { loadProfile }, { writeFileDurably }] = await Promise.all([
    import('../controller/fleet-files.ts'),
    import('../controller/settings.ts'),
    import('../profile/profile.ts'),
    import('../files/durable.ts'),
  ]);
  const output = outputOf(command);
  const { out, brokerHost, fleetPort, enrolPort, rootKeys, threshold } = options;
  if (threshold > rootKeys) {
    throw new TouchstoneError('USAGE', `--threshold ${threshold} of --root-keys ${rootKeys} can never be reached`);
  }
  if (fleetPort === enrolPort) throw new TouchstoneError('USAGE', '--fleet-port and --enrol-port must differ');
  await assertNew(out);
  const profiles = await Promise.all(
    (options.profile ?? []).map(async (file) => {
      const bytes = await readFile(file).catch((cause: unknown) => {
        throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
      });
      return { bytes, profile: loadProfile(bytes, file).profile };
    }),
  );
  const ofProfiles = profiles.flatMap(({ profile }) => profile.slots.flatMap((slot) => slot.modelIds));
  const named = [...new Set([...(options.modelId ?? []), ...ofProfiles])];
  const modelIds = named.length === 0 ? [DEFAULT_MODEL_ID] : named;
  const bind = options.bind ?? (LOCAL.has(brokerHost) ? '127.0.0.1' : '0.0.0.0');
  const made = makeFleet({
    dir: out,
    modelIds,
    brokerHost,
    bind,
    fleetPort,
    enrolPort,
    rootKeys,
    threshold,
    now: Date.now(),
  });
  for (const { bytes, profile } of profiles) {
    await writeFileDurably(join(out, 'controller', STATE_FILES.profiles, `${profile.id}.json`), bytes, 0o644);
    await writeFileDurably(join(out, 'device', `${profile.id}.json`), bytes, 0o644);
  }
  const [firstProfile] = profiles;
  const controller = join(out, 'controller');
  const profileOf = firstProfile === undefined ? null : join(out, 'device', `${firstProfile.profile.id}.json`);
  const copyProfile = `cp PROFILE.json ${join(controller, STATE_FILES.profiles)}/`;
  const next = [
    ...(profileOf === null ? [copyProfile] : []),
    `mosquitto -c ${join(out, 'broker', 'mosquitto.conf')}`,
    `touchstone controller --state ${controller}`,
    `touchstone agent --profile ${profileOf ?? 'PROFILE.json'} --fleet ${join(out, 'device')} --state DIR`,
  ];
  const { fleetId, publisherKeyId, rootKeyIds } = made;
  const document = {
    fleetId,
    dir: out,
    modelIds,
    publisherKeyId,
    rootKeyIds: [...rootKeyIds],
    threshold,
    broker: { host: brokerHost, bind, fleetPort, enrolPort },
    profiles: profiles.map(({ profile }) => profile.id),
    next,
  };
  output.result(document, () =>
    [
      output.paint('green', `made fleet ${fleetId} in ${cleanText(out)}`),
      `  root/        ${rootKeys} root keys, of which ${threshold} decide together who may sign, the floor keys and the escrow key`,
      `               ${output.paint('yellow', 'Take this folder offline now; give the keys to different people.')} Nothing else can replace it.`,
      `  publisher/   signs releases of: ${modelIds.map((id) => cleanText(id)).join(', ')}. Goes to who makes the models; may be a token.`,
      '  controller/  the state directory of touchstone controller, its keys among it',
      `  broker/      a configuration of Mosquitto for ${cleanText(brokerHost)}: devices on ${fleetPort}, newcomers on ${enrolPort}, on ${cleanText(bind)}`,
      '  device/      what ships in the firmware of every device; no secret is in it',
      '',
      'Next:',
      ...next.map((line) => `  ${cleanText(line)}`),
      ...(LOCAL.has(brokerHost)
        ? ['', 'Devices elsewhere cannot reach this broker: give --broker-host a name they can resolve.']
        : []),
    ].join('\n'),
  );
}

/** `touchstone fleet`. */
export function fleetCommand(): Command {
  const command = new Command('fleet').description("make a fleet's keys and files, and say who may sign what");
  const port = wholeNumber(1, 65_535);
  command
    .command('init')
    .description('make all keys, fleet.json, and the configuration of controller and broker')
    .requiredOption('--out <dir>', 'a new or empty folder')
    .option('--profile <file>', 'firmware profile of devices; its model ids are taken over (repeatable)', each)
    .option('--model-id <id>', 'a model that the publisher key may sign (repeatable)', each)
    .option('--broker-host <host>', 'name or address under which devices reach the broker', 'localhost')
    .option('--bind <address>', 'address the broker listens on (default: all, or the local one for a local host)')
    .option('--fleet-port <port>', 'port of enrolled devices', port, 8883)
    .option('--enrol-port <port>', 'port where a newcomer can only enrol', port, 8884)
    .option('--root-keys <count>', 'how many root keys there are', wholeNumber(1, 16), 3)
    .option('--threshold <count>', 'how many of them must sign', wholeNumber(1, 16), 2)
    .addHelpText(
      'after',
      `
Nothing is overwritten. Secret keys are files of mode 0600.

Examples:
  touchstone fleet init --out fleet --profile firmware-profiles/generic-linux.json --broker-host mqtt.example.com
  touchstone fleet init --out fleet --model-id detector --root-keys 5 --threshold 3`,
    )
    .action(async (options: InitOptions, self: Command) => init(options, self));
  for (const one of rootCommands()) command.addCommand(one);
  command.addCommand(exportCommand());
  command.addCommand(controllerFolderCommand());
  return command;
}
