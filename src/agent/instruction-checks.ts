// May a device do what a bundle asks? An ordered list of named checks of an instruction whose signature was verified, all always asked.
import { timeText, toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { isOpen } from '../gate/trial.ts';
import type { Challenge, Instruction } from '../protocol/messages.ts';
import type { BundleRuleId } from '../rules/bundle-rules.ts';
import type { OutcomeRuleId } from '../rules/outcome-rules.ts';
import type { SlotRow } from '../store/journal.ts';

/** Everything that is looked at beside the release itself. */
export interface Carried {
  readonly instruction: Instruction;
  /** The challenge that came with it, as sealed. */
  readonly sealed: Uint8Array;
  /** The same, read; null when it does not ask this device. */
  readonly challenge: Challenge | null;
  /** Hex. */
  readonly fleetId: string;
  readonly deviceId: string;
  /** Names of the profile's slots. */
  readonly slots: readonly string[];
  /** How the slot stands. */
  readonly row: SlotRow;
  /** Device time, ms. */
  readonly now: number;
  /** No place for one more report. */
  readonly full: boolean;
}

export interface InstructionFault {
  readonly expected: string;
  readonly found: string;
}

export interface InstructionCheck {
  readonly rule: BundleRuleId | OutcomeRuleId;
  /** Null: nothing is wrong. */
  judge(carried: Carried): InstructionFault | null;
}

export const INSTRUCTION_CHECKS: readonly InstructionCheck[] = [
  {
    rule: 'instruction-device',
    judge: ({ instruction, fleetId, deviceId }) => {
      if (instruction.fleetId !== fleetId)
        return { expected: `fleet ${fleetId}`, found: `fleet ${instruction.fleetId}` };
      if (instruction.deviceId === deviceId) return null;
      return { expected: `device ${deviceId}`, found: `device ${instruction.deviceId}` };
    },
  },
  {
    rule: 'instruction-slot',
    judge: ({ instruction: { slot }, slots }) =>
      slots.includes(slot) ? null : { expected: `slot ${slots.join(' or ')}`, found: `slot ${slot}` },
  },
  {
    rule: 'instruction-challenge',
    judge: ({ instruction, sealed, challenge }) => {
      const found = toHex(sha256(sealed));
      if (found !== instruction.challenge) return { expected: `challenge ${instruction.challenge}`, found };
      return challenge === null ? { expected: 'a challenge for this device', found: 'one for another' } : null;
    },
  },
  {
    rule: 'instruction-expired',
    judge: ({ instruction: { notAfter }, now }) =>
      now <= notAfter
        ? null
        : { expected: `${timeText(notAfter)} or earlier`, found: `${timeText(now)} by the device’s time` },
  },
  {
    rule: 'superseded-order',
    judge: ({ instruction: { order }, row }) =>
      order >= row.order
        ? null
        : { expected: `an order above ${row.order}, the last one taken for this slot`, found: `order ${order}` },
  },
  {
    rule: 'trial-open',
    judge: ({ instruction: { order }, row }) =>
      isOpen(row) && order > row.order
        ? { expected: 'a slot without an open trial', found: `release ${row.staged?.slice(0, 12) ?? '-'} on trial` }
        : null,
  },
  {
    rule: 'reports-full',
    judge: ({ full, instruction: { order }, row }) =>
      full && order > row.order ? { expected: 'room for one more report', found: 'none' } : null,
  },
];
