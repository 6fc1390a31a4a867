// Follows upgrades of many devices to their ends, over a controller that may go away and come back meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { followDevices } from '../controller/control-client.ts';
import type { DeviceDetail } from '../controller/views.ts';
import { TouchstoneError } from '../errors.ts';
import { upgradeState } from './upgrade-end.ts';
import type { GivenUpgrade, UpgradeState } from './upgrade-end.ts';

/** How soon a controller that went away is looked for again. */
const AGAIN_MS = 1000;

export interface Watching {
  /** An upgrade stands otherwise now. */
  moved(now: UpgradeState): void;
  /** The controller went away: told once each time. */
  alone(): void;
}

/** Until each has ended or `signal` fires. What was given stands in the controller's registry: it outlives the controller's process. */
export async function followUpgrades(
  state: string,
  given: readonly GivenUpgrade[],
  signal: AbortSignal,
  watching: Watching,
): Promise<UpgradeState[]> {
  const states = new Map<string, UpgradeState>(
    given.map((one) => [one.device, { ...one, label: null, end: 'under-way', rule: null, detail: 'given' }]),
  );
  const enough = new AbortController();
  const until = AbortSignal.any([signal, enough.signal]);
  const take = (device: DeviceDetail): void => {
    const before = states.get(device.id);
    if (before === undefined) return;
    const now = upgradeState(device, before);
    states.set(device.id, now);
    if (now.end !== before.end || now.detail !== before.detail) watching.moved(now);
    if ([...states.values()].every(({ end }) => end !== 'under-way')) enough.abort();
  };
  let there = true;
  while (!until.aborted) {
    try {
      for await (const line of followDevices(state, [...states.keys()], until)) {
        there = true;
        take((line as { device: DeviceDetail }).device);
      }
    } catch (error) {
      if (!(error instanceof TouchstoneError) || error.code !== 'CONTROL_UNAVAILABLE') throw error;
    }
    if (until.aborted) break;
    if (there) watching.alone();
    there = false;
    await sleep(AGAIN_MS, undefined, { signal: until }).catch(() => undefined);
  }
  return [...states.values()];
}
