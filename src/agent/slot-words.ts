// What the log says of a slot that was just measured or switched.
import { toHex } from '../bytes/text.ts';
import type { KnownSlot } from './slot-keeper.ts';

/** One line; of files that differ the first, with both digests. */
export function slotWords({ event, found, slot }: KnownSlot): string {
  const first = event.differing[0];
  const files = event.differing.length + event.more;
  const release = event.release === null ? '' : `, release ${toHex(event.release).slice(0, 12)}`;
  const head = `slot ${slot.name} ${event.cause}: ${found}${release}`;
  if (found !== 'altered' || first === undefined) return head;
  const is = first.found === null ? 'missing' : toHex(first.found);
  const signed = first.expected === null ? 'no such file' : toHex(first.expected);
  const more = files > 1 ? ` (and ${files - 1} more)` : '';
  return `${head}: ${first.path} is ${is}, signed is ${signed}${more}`;
}
