// What the throughput benchmark and its two child processes, controller and devices, say to each other.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Profile } from '../../src/profile/profile.ts';
import { TestFleet } from '../support/fleet.ts';

/** A fleet's folder, for a process that did not make it. */
export interface FleetPlace {
  readonly dir: string;
  readonly fleetId: string;
  readonly profile: Profile;
  readonly fleetPort: number;
  readonly enrolPort: number;
}

export function placeOf({ dir, fleetId, profile, fleetPort, enrolPort }: TestFleet): FleetPlace {
  return { dir, fleetId, profile, fleetPort, enrolPort };
}

export function fleetAt({ dir, fleetId, profile, fleetPort, enrolPort }: FleetPlace): TestFleet {
  return new TestFleet(dir, fleetId, profile, { fleet: fleetPort, enrol: enrolPort });
}

/** In this order: make, connect, and round as often as wanted. */
export type ToDevices =
  | { readonly do: 'make'; readonly fleet: FleetPlace; readonly devices: number }
  | { readonly do: 'connect' }
  /** Every device attests `times` times; at most `atOnce` evidences are without their result at a time. */
  | { readonly do: 'round'; readonly times: number; readonly atOnce: number };

export interface RoundDone {
  readonly done: 'round';
  readonly results: number;
  readonly affirming: number;
  readonly seconds: number;
  /** CPU seconds that the devices used meanwhile. */
  readonly cpu: number;
  /** Of one evidence message. */
  readonly bytes: number;
}

export type FromDevices = { readonly done: 'make' | 'connect' } | RoundDone;

export type ToController = { readonly do: 'run'; readonly fleet: FleetPlace } | { readonly do: 'count' };

export interface ControllerCount {
  readonly done: 'count';
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  /** CPU seconds used so far. */
  readonly cpu: number;
  /** Resident, bytes. */
  readonly memory: number;
}

export type FromController = { readonly done: 'run' } | ControllerCount;

/** Sends `message` to a child and waits for its answer. Errors: Error when the child ends instead. */
export async function request<Answer>(child: ChildProcess, message: ToDevices | ToController): Promise<Answer> {
  const ended = new AbortController();
  const gone = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`a process of the benchmark ended with code ${String(code)}`);
  });
  try {
    const answer = once(child, 'message');
    child.send(message);
    const [received] = (await Promise.race([answer, gone])) as [Answer];
    return received;
  } finally {
    ended.abort();
    await gone.catch(() => undefined);
  }
}
