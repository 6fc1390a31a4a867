// What the controller says to a device counts only when a key that the fleet root named has signed it.
import type { KeyObject } from 'node:crypto';
import { toUtf8 } from '../bytes/text.ts';
import type { Command, Endorsement, Instruction, ResultStatement } from '../protocol/messages.ts';
import { openStatement } from '../protocol/statement.ts';

/** Each: the statement, or null when no key of the root's table signed these bytes for that purpose. */
export interface Authentic {
  result(bytes: Uint8Array): ResultStatement | null;
  command(bytes: Uint8Array): Command | null;
  instruction(bytes: Uint8Array): Instruction | null;
  endorsement(json: string): Endorsement | null;
}

/** `keys`: the root's table (release/root.ts, Trust), asked for each time because it may change. */
export function authenticBy(
  keys: () => {
    readonly resultKeys: ReadonlyMap<string, KeyObject>;
    readonly operatorKeys: ReadonlyMap<string, KeyObject>;
  },
): Authentic {
  return {
    result: (bytes) => openStatement('result', bytes, keys().resultKeys),
    command: (bytes) => openStatement('command', bytes, keys().operatorKeys),
    instruction: (bytes) => openStatement('instruction', bytes, keys().operatorKeys),
    endorsement: (json) => openStatement('endorsement', toUtf8(json), keys().resultKeys),
  };
}
