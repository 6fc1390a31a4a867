// What several scenes ask of the device, and how they judge the answers.
import { setTimeout as delay } from 'node:timers/promises';
import type { SignedRelease } from '../release/open.ts';
import { holdsRelease, upgradeEnd, verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import type { Seen } from '../testing/play.ts';
import type { Ran } from '../testing/stage.ts';
import type { Cast } from './cast.ts';

/** How an upgrade ended, judged by whether its release is attested. */
export function endSeen(ran: Ran): Seen & { readonly end: string } {
  const { end, rule, detail } = upgradeEnd(ran);
  const saw = `${end}${rule === null ? '' : `: ${rule}`}: ${detail}`;
  const more = ran.stderr.split('\n').slice(0, 20);
  return { ok: end === 'attested', saw, ...(rule === null ? {} : { rule }), more, end };
}

export async function installs(
  { sandbox, slot }: Cast,
  release: SignedRelease,
): Promise<Seen & { readonly end: string }> {
  return endSeen(await sandbox.upgradeSlot(release.id, { slot: slot.name }));
}

/** What a software TPM cannot have better; everything else against the device counts. */
export function judged(device: ShownDevice): Seen {
  const { verdict } = device;
  const good = verdict?.status === 'affirming' || verdict?.status === 'warning';
  const worst = verdict?.findings.find((one) => one.status === verdict.status && one.rule !== 'tier-software');
  const more = (verdict?.findings ?? []).map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`);
  return { ok: good, saw: verdictWords(device), more, ...(good || worst === undefined ? {} : { rule: worst.rule }) };
}

/** `status SLOT` of the device, until it says that the model may be loaded; a result is on its way for a moment. */
export async function isLoadable({ sandbox, slot }: Cast): Promise<boolean> {
  for (let tries = 0; tries < 10; tries += 1) {
    if ((await sandbox.cli('status', slot.name, '--state', sandbox.deviceState)).code === 0) return true;
    await delay(200);
  }
  return false;
}

/** The first verdict after `before` (ms since 1970) that `wanted` is content with. */
export async function newVerdict(
  { sandbox }: Cast,
  before: number,
  what: string,
  wanted: (device: ShownDevice) => boolean,
): Promise<ShownDevice> {
  return sandbox.until(what, (one) => (one.verdict?.at ?? 0) > before && wanted(one));
}

/** What is in the slot: the release, the one of before, nothing, or something else. */
export function inSlot({ slot, release, from }: Cast, device: ShownDevice): 'release' | 'before' | 'nothing' | 'other' {
  if (holdsRelease(device, slot.name, release.id)) return 'release';
  if (from !== null && holdsRelease(device, slot.name, from.id)) return 'before';
  return device.slots.some((one) => one.slot === slot.name && one.release !== null) ? 'other' : 'nothing';
}

/** What the slot falls back to once the release's floor stands: the release of before, unless it is below the floor. */
export function fallback({ slot, release, from }: Cast): 'before' | 'nothing' {
  if (from === null) return 'nothing';
  const below = from.passport.securityVersion < release.passport.securityVersion;
  return slot.floor !== undefined && below ? 'nothing' : 'before';
}
