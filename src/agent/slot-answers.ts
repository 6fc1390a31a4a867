// What programs on the device ask before they load a model: the agent's last word on the slots, judged now.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFile } from '../bytes/shape.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { machineNow } from './machine.ts';
import { agentStatusShape, judgeSlot } from './status.ts';
import type { AgentStatus, SlotAnswer } from './status.ts';

/** STATE/status.json. Errors: CONFIG_MISSING when the agent has not said anything yet; CONFIG_INVALID. */
export async function readStatus(stateDir: string): Promise<AgentStatus> {
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

/** The file's word on `slot`, or on all slots, as far as it may be believed at this moment. Errors: USAGE for a slot that there is not. */
export async function judgeNow(file: AgentStatus, slot?: string): Promise<SlotAnswer[]> {
  const rows = file.slots.filter((row) => slot === undefined || row.slot === slot);
  if (slot !== undefined && rows.length === 0) {
    const names = file.slots.map((row) => row.slot).join(', ');
    throw new TouchstoneError('USAGE', `the agent knows no slot ${slot}; it knows: ${names}`);
  }
  const now = await machineNow();
  return rows.map((row) => judgeSlot(file, row, now));
}

/**
 * May the model in this slot be loaded now? `trusted` says yes; the answer is good for this moment, so ask before each load. Fails
 * closed: without an agent that measures, nothing is trusted. Errors: CONFIG_MISSING, CONFIG_INVALID, USAGE.
 */
export async function askSlot(stateDir: string, slot: string): Promise<SlotAnswer> {
  const [answer] = await judgeNow(await readStatus(stateDir), slot);
  if (answer === undefined) throw new TypeError('a slot that is known has an answer');
  return answer;
}

/** The folder in which the model of a slot lies while it may be loaded: a link that an upgrade turns at once. */
export function slotModel(stateDir: string, slot: string): string {
  return join(stateDir, 'slots', slot, 'model');
}
