// `touchstone device …`: who belongs to the fleet, how each device is doing and why, and what operators decide about it.
import { Command, Option } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { DeviceDetail, DeviceView } from '../controller/views.ts';
import { askController } from '../controller/control-client.ts';
import { stateOption } from './controller.ts';
import { allowKeys } from './device-allow.ts';
import type { EscrowOptions } from './device-escrow.ts';
import { deviceTable, deviceText } from './device-text.ts';
import { deviceEar } from './evidence-record.ts';
import { EXIT } from './exit.ts';
import { outputOf } from './output.ts';
import type { Json } from './output.ts';

interface StateOptions {
  readonly state: string;
}

/** Seconds from an option, as a number. */
export function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0 || seconds > 3600) {
    throw new InvalidArgumentError('it is a number of seconds, at most 3600');
  }
  return seconds;
}

async function list({ state }: StateOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const answer = (await askController(state, 'list', {})) as { devices: readonly DeviceView[] };
  output.result(answer as unknown as Json, () => deviceTable(output, answer.devices, Date.now()));
}

/** Asks for `action` and shows the device as it is then. */
async function ask(command: Command, state: string, action: string, body: object): Promise<{ device: DeviceDetail }> {
  const output = outputOf(command);
  const answer = (await askController(state, action, body)) as { device: DeviceDetail };
  output.result(answer as unknown as Json, () => deviceText(output, answer.device, Date.now()));
  return answer;
}

async function attest(device: string, options: StateOptions & { timeout: number }, command: Command): Promise<void> {
  const body = { device, waitMs: Math.round(options.timeout * 1000) };
  const answer = (await ask(command, options.state, 'attest', body)) as { answered?: boolean; device: DeviceDetail };
  if (answer.answered !== true) {
    outputOf(command).note(`no evidence came within ${options.timeout} s: the device may be off, or busy measuring`);
    process.exitCode = EXIT.failed;
    return;
  }
  const { verdict, trouble } = answer.device;
  const good = trouble === null && (verdict?.status === 'affirming' || verdict?.status === 'warning');
  if (!good) process.exitCode = EXIT.against;
}

/** Days from an option. */
function daysOf(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 3660) throw new InvalidArgumentError('it is 1 to 3660 days');
  return days;
}

async function token(name: string, options: StateOptions & { days: number }, command: Command): Promise<void> {
  const output = outputOf(command);
  const asked = { name, forMs: options.days * 86_400_000 };
  const answer = (await askController(options.state, 'token', asked)) as { token: string };
  output.note('shown once: put it into a file on the device and start the agent with --token-file');
  output.result(answer, () => answer.token);
}

const reason = (): Option => new Option('--reason <text>', 'kept in the history').default('no reason given');

/** A certificate is taken back where the broker looks. */
const GONE_HINT =
  'not erased: models, broker key, journal and TPM auth values stay on it until somebody wipes its disk and clears its TPM; the controller takes nothing from it any more; the broker still lets it connect until it reads revoked.crl.pem again (systemctl reload mosquitto, or SIGHUP), and a connection that is open stays until it ends';

interface Entry {
  readonly name: string;
  readonly says: string;
  readonly reason?: true;
}

/** The decisions that take a device and at most a reason. */
const DECISIONS: readonly Entry[] = [
  { name: 'show', says: 'everything about one device: verdict, findings and what to do about each, slots, history' },
  { name: 'approve', says: 'let a pending device in, or trust a quarantined one again' },
  { name: 'reject', says: 'turn a pending device away', reason: true },
  { name: 'quarantine', says: 'set a device aside: it attests, and its models stop', reason: true },
  { name: 'retire', says: 'take a device out of the fleet', reason: true },
];

/** How long a command waits for evidence. */
export function timeoutOption(): Option {
  return new Option('--timeout <seconds>', 'how long to wait').default(30).argParser(secondsOf);
}

/** `touchstone device`. */
export function deviceCommand(): Command {
  const command = new Command('device').description(
    'see and decide about devices; DEVICE is an id, the beginning of one, or a label',
  );
  const add = (name: string, says: string): Command => command.command(name).description(says).addOption(stateOption());
  add('list', 'all devices: condition, verdict and what to do now').action(
    async (options: StateOptions, self: Command) => list(options, self),
  );
  for (const { name, says, reason: takesReason } of DECISIONS) {
    const one = add(name, says).argument('<device>', 'id, beginning of an id, or label');
    if (takesReason === true) one.addOption(reason());
    one.action(async (device: string, { state, reason: why }: StateOptions & { reason?: string }, self: Command) => {
      await ask(self, state, name, { device, ...(why === undefined ? {} : { reason: why }) });
      if (name === 'retire') outputOf(self).note(GONE_HINT);
    });
  }
  add('attest', 'ask a device for evidence now: exit code 0 trusted, 1 not, 3 no answer')
    .argument('<device>', 'id, beginning of an id, or label')
    .addOption(timeoutOption())
    .action(attest);
  add('ear', 'ask a device for evidence now; its verdict as a signed EAR token (JWT) for other systems')
    .argument('<device>', 'id, beginning of an id, or label')
    .option('--out <file>', 'where to; printed by default')
    .addOption(timeoutOption())
    .action(deviceEar);
  add('replace', 'a new device takes the place and label of an old one, which is retired')
    .argument('<old>', 'the device that goes')
    .argument('<new>', 'the device that comes: pending or approved')
    .action(async (old: string, by: string, { state }: StateOptions, self: Command) => {
      await ask(self, state, 'replace', { device: old, by });
      outputOf(self).note(GONE_HINT);
    });
  add('label', 'name a device; without a name the label is taken away')
    .argument('<device>', 'id, beginning of an id, or label')
    .argument('[label]', 'at most 31 characters')
    .action(async (device: string, label: string | undefined, { state }: StateOptions, self: Command) => {
      await ask(self, state, 'label', { device, label: label ?? null });
    });
  const allow = add('allow', 'let endorsement keys in beforehand; without a key or file, show those that are')
    .argument('[key]', 'TPM Name of the endorsement key (hex), or a JSON file as --json shows the list')
    .addOption(new Option('--note <text>', 'who or what it is; shown as who approved').default('operator'))
    .addOption(new Option('--pinned', 'you have seen that it is a hardware TPM, though no vendor certifies it'))
    .addOption(
      new Option(
        '--remove',
        'take the key off the list, or a batch back by its id; a device that is in keeps its place',
      ),
    )
    .addOption(new Option('--import <batch>', 'let in what a station signed (touchstone station sign)'))
    .addOption(
      new Option(
        '--export <file>',
        'write down who is let in by whom: .csv a table, else JSON with the signed batches',
      ),
    );
  allow.action(allowKeys);
  add(
    'escrow',
    'the auth values of a TPM whose device lost its disk: sealed from the controller, opened with the escrow key',
  )
    .argument('[device]', 'id, beginning of an id, or label')
    .requiredOption(
      '--out <file>',
      'the sealed values; with --key the opened ones, for the state directory of the device',
    )
    .addOption(new Option('--sealed <file>', 'open what was written of a device, far from any controller'))
    .addOption(new Option('--key <file>', "the fleet's private escrow key (DIR/root/escrow.key.pem of fleet init)"))
    .action(async (device: string | undefined, options: EscrowOptions, self: Command) =>
      (await import('./device-escrow.ts')).giveEscrow(device, options, self),
    );
  add('token', 'make a one-time token that lets the device in that brings it')
    .argument('<name>', 'what the token is for; shown as who approved')
    .addOption(new Option('--days <days>', 'how long it is good').default(30).argParser(daysOf))
    .action(token);
  return command;
}
