// What the controller says to a device counts only when a key that the fleet root named has signed it.
import type { Command, Endorsement, ResultStatement } from '../protocol/messages.ts';

/** Each: the statement, or null when no key of the root's table signed these bytes for that purpose. */
export interface Authentic {
  result(bytes: Uint8Array): ResultStatement | null;
  command(bytes: Uint8Array): Command | null;
  endorsement(json: string): Endorsement | null;
}
