// The part of a controller that asks and judges, on any registry: what it sends to devices is counted and kept.
import { systemClock } from '../../src/clock.ts';
import { Challenger } from '../../src/controller/challenger.ts';
import { Intake } from '../../src/controller/intake.ts';
import { ReferenceKeeper } from '../../src/controller/reference-keeper.ts';
import type { Registry } from '../../src/controller/registry.ts';
import { Roster } from '../../src/controller/roster.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import { KeyThreads } from '../../src/crypto/key-threads.ts';
import type { TestFleet } from '../support/fleet.ts';

const quiet = { write: () => undefined };
const noBell = (): void => {};

export interface JudgeRoom {
  readonly intake: Intake;
  readonly roster: Roster;
  /** A challenge for the device, as it stands now. */
  readonly challenge: (id: string) => Promise<Buffer>;
  /** Results sent so far: DSSE envelopes. */
  readonly results: readonly Buffer[];
  /** Devices whose evidence answered a challenge of ours and was not the first to. */
  readonly overtaken: readonly string[];
}

/** `failed`: what cannot be gone on with; thrown if absent. */
export async function openJudgeRoom(
  fleet: TestFleet,
  registry: Registry,
  failed: (error: unknown) => void = (error) => {
    throw error;
  },
): Promise<JudgeRoom> {
  const settings = loadSettings(fleet.controllerDir, Date.now());
  const roster = new Roster(registry, settings.trust.resultKeys);
  await roster.load();
  const references = new ReferenceKeeper(settings, quiet, () => Date.now(), noBell);
  let sent = Buffer.alloc(0);
  const results: Buffer[] = [];
  const overtaken: string[] = [];
  const challenger = new Challenger({
    settings,
    roster,
    clock: systemClock,
    bus: { connected: true, publish: async (_topic, payload) => Promise.resolve(void (sent = Buffer.from(payload))) },
    terms: (profile) => references.terms(profile),
    random: () => 0,
  });
  const intake = new Intake({
    registry,
    roster,
    clock: systemClock,
    log: quiet,
    bus: { publish: async (_topic, payload) => Promise.resolve(void results.push(Buffer.from(payload))) },
    keys: { fleetId: settings.trust.fleet.fleetId, resultKey: settings.resultKey, work: new KeyThreads() },
    yardstick: (profile) => references.terms(profile),
    accepted: () => undefined,
    unexplained: async () => Promise.resolve(),
    overtaken: ({ id }) => void overtaken.push(id),
    failed,
  });
  const challenge = async (id: string): Promise<Buffer> => {
    if (!(await challenger.ask(id))) throw new TypeError('this device is not one to be asked');
    return sent;
  };
  return { intake, roster, challenge, results, overtaken };
}
