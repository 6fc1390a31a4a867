// Starts a sandbox for a profile: TPM, fleet, broker, controller and an enrolled device, as much at once as can be.
import { rm, writeFile } from 'node:fs/promises';
import { TouchstoneError } from '../errors.ts';
import type { LoadedProfile } from '../profile/profile.ts';
import { FLOOR_SLOTS } from '../tpm/floor/definition.ts';
import { freePorts } from './free-ports.ts';
import { makePrivateFleet } from './private-fleet.ts';
import type { Signers } from './private-fleet.ts';
import { Sandbox } from './sandbox.ts';
import { makeStageTpm } from './stage-tpm.ts';
import type { Stage } from './stage.ts';

export interface SandboxPlan {
  /** The binary's file. */
  readonly main: string;
  readonly profile: LoadedProfile;
  readonly profileBytes: Uint8Array;
  /** Whose releases it takes; null: those of its own publisher. */
  readonly signers: Signers | null;
  /** Where the version floors of its TPM start, by their numbers; 0 where left out. Only for a profile that has floors. */
  readonly firstFloors?: ReadonlyMap<number, number>;
}

/** Another program may take a port between our finding it free and the broker's opening it. */
const TRIES = 5;

async function startFleet(sandbox: Sandbox, plan: SandboxPlan): Promise<void> {
  const dir = sandbox.stage.path('fleet');
  for (let tries = 1; ; tries += 1) {
    const [fleet = 0, enrol = 0] = await freePorts(2);
    await makePrivateFleet({ ...plan, dir, ports: { fleet, enrol }, now: Date.now() });
    try {
      await sandbox.startBroker(enrol);
      return;
    } catch (error) {
      if (tries === TRIES || !(error instanceof TouchstoneError) || error.code !== 'BUS_UNAVAILABLE') throw error;
      await rm(dir, { recursive: true });
    }
  }
}

export interface StartedSandbox {
  readonly sandbox: Sandbox;
  /** Resolves when the device is enrolled. */
  readonly enrolled: Promise<void>;
}

/**
 * Resolves when fleet and broker are there; the device follows. Errors: CONFIG_MISSING when swtpm or mosquitto is not installed;
 * TPM_UNAVAILABLE; BUS_UNAVAILABLE; CONTROL_UNAVAILABLE with what a process said last.
 */
export async function startSandbox(stage: Stage, plan: SandboxPlan): Promise<StartedSandbox> {
  const sandbox = new Sandbox(stage, plan.main);
  await writeFile(sandbox.profile, plan.profileBytes);
  const [tpm] = await Promise.all([makeStageTpm(stage), startFleet(sandbox, plan)]);
  const enrol = async (): Promise<void> => {
    await sandbox.insertTpm(tpm);
    if (plan.profile.profile.slots.some((slot) => slot.floor !== undefined)) {
      const { giveFirstFloors } = await import('./first-floors.ts');
      const values = Array.from({ length: FLOOR_SLOTS }, (_, number) => BigInt(plan.firstFloors?.get(number) ?? 0));
      await giveFirstFloors(sandbox, values, Date.now());
    }
    await Promise.all([sandbox.startController(), sandbox.powerOn()]);
    await sandbox.enrol();
  };
  const enrolled = enrol();
  // Whoever waits for it hears of a failure; nobody may wait yet.
  enrolled.catch(() => undefined);
  return { sandbox, enrolled };
}
