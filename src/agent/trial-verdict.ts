// What a signed result means for a release on trial: it passes, it fails and why, or the trial waits for another word.
import type { Reason } from '../gate/settle.ts';
import type { ResultStatement } from '../protocol/messages.ts';

export type TrialVerdict =
  { readonly end: 'pass' } | { readonly end: 'fail'; readonly reason: Reason } | { readonly end: 'wait' };

/**
 * With these a result counts as affirming. `tier-software`: the one thing that a device with a software TPM can do nothing about.
 * `changed-since-boot`: a slot was wrong earlier in this boot and is right now. It stays until the next boot, and the upgrade may be the
 * cure; that the candidate itself was right at every look of this trial the device knows, or it would have been rolled back.
 */
const NO_HINDRANCE: ReadonlySet<string> = new Set(['tier-software', 'changed-since-boot']);

/**
 * Only findings about the device or this slot count: another slot that is empty or altered says nothing about this release, and a
 * device with two empty slots could otherwise never fill one.
 */
export function trialVerdict(
  result: Pick<ResultStatement, 'status' | 'slots' | 'findings'>,
  slot: string,
): TrialVerdict {
  const about = result.findings.filter(({ subject }) => subject === slot || subject === 'device');
  const against = about.find(({ status }) => status === 'contraindicated');
  if (against !== undefined) {
    const { rule, expected, found } = against;
    const detail = `the controller found it contraindicated: ${rule}: expected ${expected}, found ${found}`;
    return { end: 'fail', reason: { rule, detail } };
  }
  const judged = result.slots.find((one) => one.slot === slot)?.status;
  // A word without its reason is believed when it is against, never when it is for.
  if (judged === 'contraindicated') {
    return { end: 'fail', reason: { rule: 'contraindicated', detail: 'the controller found it contraindicated' } };
  }
  if (result.status === 'none' || judged === undefined || judged === 'none') return { end: 'wait' };
  const hindered = about.some(({ status, rule }) => status !== 'affirming' && !NO_HINDRANCE.has(rule));
  return { end: hindered ? 'wait' : 'pass' };
}
