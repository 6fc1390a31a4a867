// What `device show --json` says, as far as plays look at it, and questions to it.
import type { Ran } from './stage.ts';

/** A stable part of the command line's document. */
export interface ShownDevice {
  readonly id: string;
  readonly state: string;
  readonly verdict: {
    readonly status: string;
    readonly assurance: string;
    readonly at: number;
    readonly findings: readonly {
      readonly rule: string;
      readonly status: string;
      readonly subject: string;
      readonly expected: string;
      readonly found: string;
    }[];
  } | null;
  readonly slots: readonly {
    readonly slot: string;
    readonly release: string | null;
    readonly version: string | null;
    readonly state: string;
  }[];
  readonly commands: readonly {
    readonly id: string;
    /** Null until the device has reported its end. */
    readonly outcome: { readonly kind: string; readonly rule: string; readonly detail: string } | null;
  }[];
  readonly floors: readonly { readonly slot: string; readonly floor: number }[];
}

/** The rules of its findings, each once, sorted. */
export function rulesOf({ verdict }: ShownDevice): string[] {
  return [...new Set(verdict?.findings.map((one) => one.rule))].toSorted();
}

/** `warning (A0): tier-software`. */
export function verdictWords(device: ShownDevice): string {
  const { verdict } = device;
  return verdict === null
    ? 'no verdict yet'
    : `${verdict.status} (${verdict.assurance}): ${rulesOf(device).join(', ')}`;
}

/** Whether its last evidence said that `slot` holds `release`. */
export function holdsRelease(device: ShownDevice, slot: string, release: string): boolean {
  return device.slots.some((one) => one.slot === slot && one.release === release);
}

/** Everything is as the owner signed it; only the TPM is a software TPM, and the product says so. */
export function isAsSigned(device: ShownDevice): boolean {
  return device.verdict?.status === 'warning' && rulesOf(device).join() === 'tier-software';
}

/** How an upgrade ended: `attested`, `refused`, `rolled-back`, `untrusted`, `failed`…; `rule`: what was broken. */
export interface UpgradeEnd {
  readonly end: string;
  readonly rule: string | null;
  readonly detail: string;
}

/** The end that `upgrade --json` of one device printed. */
export function upgradeEnd({ stdout, stderr }: Ran): UpgradeEnd {
  const document = JSON.parse(stdout) as { upgrades?: readonly UpgradeEnd[]; error?: { message: string } };
  const [found] = document.upgrades ?? [];
  if (found === undefined) return { end: 'failed', rule: null, detail: document.error?.message ?? stderr };
  const { end, rule, detail } = found;
  return { end, rule, detail };
}
