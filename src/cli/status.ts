// `touchstone status [SLOT]`: may the model in this slot be loaded now. What programs on the device ask before they load one.
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { judgeNow, readStatus } from '../agent/slot-answers.ts';
import type { AgentStatus, SlotAnswer } from '../agent/status.ts';
import { readTransferNote } from '../agent/transfer-note.ts';
import type { TransferNote } from '../agent/transfer-note.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { EXIT } from './exit.ts';
import { agentStateOption } from './options.ts';
import { cleanText, outputOf, table } from './output.ts';
import type { Json, Output } from './output.ts';

/** How soon a reader hears of a change. */
const LOOK_EVERY_MS = 500;

function seconds(ms: number | null): string {
  return ms === null ? '-' : `${Math.ceil(ms / 1000)} s`;
}

interface StatusOptions {
  readonly state: string;
  readonly wait?: boolean;
  readonly hold?: boolean;
  readonly follow?: boolean;
  readonly timeout?: number;
}

/** What the agent last said, judged now. */
interface Judged {
  readonly file: AgentStatus;
  readonly answers: readonly SlotAnswer[];
  readonly trusted: boolean;
  /** What is being fetched. */
  readonly transfer: TransferNote | null;
}

async function judge(stateDir: string, slot: string | undefined): Promise<Judged> {
  const [file, transfer] = await Promise.all([readStatus(stateDir), readTransferNote(stateDir)]);
  const answers = await judgeNow(file, slot);
  return { file, answers, transfer, trusted: answers.length > 0 && answers.every((answer) => answer.trusted) };
}

function documentOf({ file, answers, trusted, transfer }: Judged): Json {
  const { deviceId, fleetId, verdict, agent } = file;
  const fetching = transfer === null ? null : { ...transfer };
  return {
    trusted,
    deviceId,
    fleetId,
    agent,
    verdict,
    slots: answers.map((answer) => ({ ...answer })),
    transfer: fetching,
  };
}

function transferLine({ slot, release, there, of }: TransferNote): string {
  const percent = of === 0 ? 100 : Math.floor((there * 100) / of);
  return `fetching release ${cleanText(release.slice(0, 12))} for slot ${cleanText(slot)}: ${percent} % of ${of} bytes`;
}

function tableOf(output: Output, { answers, transfer }: Judged): string {
  const slots = table(
    ['slot', 'use', 'version', 'floor', 'lease', 'why'],
    answers.map((answer) => [
      answer.slot,
      output.paint(answer.trusted ? 'green' : answer.use === 'degraded' ? 'yellow' : 'red', answer.use),
      cleanText(answer.version ?? '-'),
      answer.floor === undefined ? '-' : (answer.floor?.toString() ?? 'not set'),
      seconds(answer.leaseLeft),
      cleanText(answer.why),
    ]),
  );
  return transfer === null ? slots : `${slots}\n${transferLine(transfer)}`;
}

/** Null while the agent has not said anything yet: a supervisor may start its reader first. */
async function judgeOrNull(stateDir: string, slot: string | undefined): Promise<Judged | null> {
  return judge(stateDir, slot).catch((error: unknown) => {
    if (error instanceof ConfigError && error.code === 'CONFIG_MISSING') return null;
    throw error;
  });
}

/** Looks again and again until `done` says so, telling of each change when `tell` is given. */
async function watch(
  options: StatusOptions,
  slot: string | undefined,
  done: (judged: Judged | null) => boolean,
  tell?: (judged: Judged) => void,
): Promise<Judged | null> {
  const end = options.timeout === undefined ? Infinity : performance.now() + options.timeout * 1000;
  let told = '';
  for (;;) {
    const judged = await judgeOrNull(options.state, slot);
    const words =
      judged === null ? '' : JSON.stringify(judged.answers.map(({ use, why, release }) => [use, why, release]));
    if (judged !== null && words !== told) tell?.(judged);
    told = words;
    if (done(judged) || performance.now() >= end) return judged;
    await delay(LOOK_EVERY_MS);
  }
}

async function status(slot: string | undefined, options: StatusOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  if ([options.wait, options.hold, options.follow].filter((one) => one === true).length > 1) {
    throw new TouchstoneError('USAGE', 'only one of --wait, --hold and --follow');
  }
  if (options.follow === true) {
    await watch(
      options,
      slot,
      () => false,
      (judged) => {
        process.stdout.write(output.json ? `${JSON.stringify(documentOf(judged))}\n` : `${tableOf(output, judged)}\n`);
      },
    );
  }
  const judged =
    options.wait === true
      ? await watch(options, slot, (one) => one?.trusted === true)
      : options.hold === true
        ? await watch(options, slot, (one) => one?.trusted !== true)
        : await judge(options.state, slot);
  if (judged?.trusted !== true) process.exitCode = EXIT.against;
  if (judged === null) {
    output.result({ trusted: false, slots: [] }, () => `the agent has not said anything in ${options.state} yet`);
    return;
  }
  output.result(documentOf(judged), () => tableOf(output, judged));
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('a number of seconds above 0');
  return value;
}

/** `touchstone status`. */
export function statusCommand(): Command {
  return new Command('status')
    .description('say whether the model in a slot may be loaded: exit code 0 yes, 1 no')
    .argument('[slot]', 'one slot; without it, all must be loadable')
    .addOption(agentStateOption())
    .option('--wait', 'wait until it may be loaded')
    .option('--hold', 'stay while it may be loaded; exit 1 when it no longer may')
    .option('--follow', 'print every change until interrupted; with --json one document a line')
    .option('--timeout <seconds>', 'give up --wait, or let go of --hold, after so long', positive)
    .addHelpText(
      'after',
      `
Examples:
  touchstone status detector && run-inference /var/lib/touchstone/slots/detector/model
  touchstone status detector --wait --timeout 60

The same as a stream of JSON lines for programs: the socket STATE/status.sock.
With systemd: a service that says BindsTo=touchstone-slot@detector.service and After= the same
starts only when the model may be loaded and stops when it no longer may.`,
    )
    .action(status);
}
