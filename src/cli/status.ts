// `touchstone status [SLOT]`: may the model in this slot be loaded now. What programs on the device ask before they load one.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { machineNow } from '../agent/machine.ts';
import { agentStatusShape, judgeSlot } from '../agent/status.ts';
import type { AgentStatus, SlotAnswer } from '../agent/status.ts';
import { parseFile } from '../bytes/shape.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf, table } from './output.ts';

const STATE_DEFAULT = '/var/lib/touchstone';

async function readStatus(stateDir: string): Promise<AgentStatus> {
  const file = join(stateDir, 'status.json');
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new ConfigError('CONFIG_INVALID', `${file} is no JSON`, { cause });
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}: has the agent run on this state directory?`, {
      cause,
    });
  }
  return parseFile(agentStatusShape, json, file, 'CONFIG_INVALID');
}

function seconds(ms: number | null): string {
  return ms === null ? '-' : `${Math.ceil(ms / 1000)} s`;
}

async function status(slot: string | undefined, options: { state: string }, command: Command): Promise<void> {
  const output = outputOf(command);
  const [file, now] = await Promise.all([readStatus(options.state), machineNow()]);
  const rows = file.slots.filter((row) => slot === undefined || row.slot === slot);
  if (slot !== undefined && rows.length === 0) {
    const names = file.slots.map((row) => row.slot).join(', ');
    throw new TouchstoneError('USAGE', `the agent knows no slot ${slot}; it knows: ${names}`);
  }
  const answers: SlotAnswer[] = rows.map((row) => judgeSlot(file, row, now));
  const trusted = answers.length > 0 && answers.every((answer) => answer.trusted);
  if (!trusted) process.exitCode = EXIT.against;
  const { deviceId, fleetId, verdict, agent } = file;
  output.result({ trusted, deviceId, fleetId, agent, verdict, slots: answers.map((answer) => ({ ...answer })) }, () =>
    table(
      ['slot', 'use', 'version', 'lease', 'why'],
      answers.map((answer) => [
        answer.slot,
        output.paint(answer.trusted ? 'green' : answer.use === 'degraded' ? 'yellow' : 'red', answer.use),
        cleanText(answer.version ?? '-'),
        seconds(answer.leaseLeft),
        cleanText(answer.why),
      ]),
    ),
  );
}

/** `touchstone status`. */
export function statusCommand(): Command {
  return new Command('status')
    .description('say whether the model in a slot may be loaded: exit code 0 yes, 1 no')
    .argument('[slot]', 'one slot; without it, all must be loadable')
    .addOption(
      new Option('--state <dir>', 'state directory of the agent').env('TOUCHSTONE_STATE').default(STATE_DEFAULT),
    )
    .action(status);
}
