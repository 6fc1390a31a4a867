// How an upgrade stands, read from what the controller says of the device: under way, or ended and how.
import type { DeviceDetail } from '../controller/views.ts';

export interface GivenUpgrade {
  readonly device: string;
  readonly command: string;
  readonly slot: string;
  readonly release: string;
}

export interface UpgradeState extends GivenUpgrade {
  readonly label: string | null;
  /** attested: the device proved that it runs the release, and is trusted. */
  readonly end: 'under-way' | 'attested' | 'untrusted' | 'refused' | 'rolled-back' | 'superseded' | 'failed';
  /** The rule that was broken, or null. */
  readonly rule: string | null;
  readonly detail: string;
}

interface Outcome {
  readonly kind: string;
  readonly rule: string;
  readonly detail: string;
}

type End = Pick<UpgradeState, 'end' | 'rule' | 'detail'>;

/** The device was cut off while it worked on it, and found it whole all the same: its evidence says what became of it. */
function wentOn({ kind }: Outcome, { slots }: DeviceDetail, { slot, release }: GivenUpgrade): boolean {
  return kind === 'interrupted' && slots.some((one) => one.slot === slot && one.release === release);
}

function reported({ kind, rule, detail }: Outcome): End | null {
  if (kind === 'refused') return { end: 'refused', rule, detail };
  if (kind === 'rolled-back') return { end: 'rolled-back', rule, detail };
  if (rule === 'superseded-order') return { end: 'superseded', rule, detail };
  if (kind === 'interrupted' || rule === 'failed') return { end: 'failed', rule, detail };
  return null;
}

function measured({ slots, verdict }: DeviceDetail, { slot, release }: GivenUpgrade, detail: string): End {
  const held = slots.find((one) => one.slot === slot);
  if (held?.release !== release) return { end: 'under-way', rule: null, detail: `${detail}; not yet in its evidence` };
  // It ends by itself: committed, or rolled back with a report of its own.
  if (held.state === 'trial') return { end: 'under-way', rule: null, detail: `${detail}; its trial has not ended` };
  if (verdict === null || verdict.status === 'contraindicated' || verdict.status === 'none') {
    const worst = verdict?.findings.find((finding) => finding.status === verdict.status);
    const why = worst === undefined ? '' : `: ${worst.rule}: expected ${worst.expected}, found ${worst.found}`;
    return { end: 'untrusted', rule: worst?.rule ?? null, detail: `installed, but the device is not trusted${why}` };
  }
  // What the device reported was of the moment when its trial began.
  const where = `release ${release.slice(0, 12)} is in slot ${slot}`;
  return { end: 'attested', rule: null, detail: `${where}; proven by its TPM, verdict ${verdict.status}` };
}

function endOf(device: DeviceDetail, given: GivenUpgrade): End {
  const command = device.commands.find((one) => one.id === given.command);
  const outcome = (command?.outcome ?? null) as Outcome | null;
  if (outcome !== null) {
    const end = wentOn(outcome, device, given) ? null : reported(outcome);
    return end ?? measured(device, given, outcome.detail);
  }
  if (device.state !== 'approved') return { end: 'failed', rule: null, detail: `the device is ${device.state} now` };
  const where = device.online
    ? 'the device works on it'
    : 'the device is not there; it gets the command when it comes back';
  return { end: 'under-way', rule: null, detail: where };
}

/** `device` as the controller has it now. */
export function upgradeState(device: DeviceDetail, given: GivenUpgrade): UpgradeState {
  return { ...given, label: device.label, ...endOf(device, given) };
}
