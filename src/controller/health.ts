// How a controller's daemon itself is doing, as it tells those who ask.
import type { Bus } from '../bus/bus.ts';
import type { ReferenceRelease } from '../verifier/types.ts';
import type { Intake } from './intake.ts';
import type { PostRoom } from './post-room.ts';
import type { ReferenceKeeper } from './reference-keeper.ts';
import type { Registry } from './registry.ts';
import type { Gap } from './restoration.ts';
import type { Settings } from './settings.ts';

export interface ControllerHealth {
  readonly fleetId: string;
  readonly broker: { readonly url: string; readonly connected: boolean };
  /** Counted since the start; `refused` by the first rule that was broken. */
  readonly evidence: {
    readonly received: number;
    readonly accepted: number;
    readonly dropped: number;
    readonly refused: Readonly<Record<string, number>>;
  };
  /** Messages that came faster than a device may send them, by kind. */
  readonly tooFast: Readonly<Record<string, number>>;
  readonly references: {
    readonly profiles: readonly string[];
    readonly releases: readonly Pick<
      ReferenceRelease,
      'id' | 'modelId' | 'version' | 'securityVersion' | 'withdrawn'
    >[];
    readonly faults: readonly string[];
  };
  readonly devicesWithCommands: readonly string[];
  /** What is missing because the registry was put back from a copy while or before it started; null when it was not. */
  readonly gap: Gap | null;
}

export interface HealthParts {
  readonly settings: Settings;
  readonly bus: Pick<Bus, 'connected'>;
  readonly registry: Pick<Registry, 'devicesWithCommands'>;
  readonly intake: Pick<Intake, 'counts'>;
  readonly postRoom: Pick<PostRoom, 'dropped'>;
  readonly references: Pick<ReferenceKeeper, 'references' | 'faults'>;
  readonly gap: Gap | null;
}

/** As it is now. Errors: StoreError. */
export async function healthOf(parts: HealthParts): Promise<ControllerHealth> {
  const { settings, bus, registry, intake, postRoom, gap } = parts;
  const { received, accepted, refused, dropped } = intake.counts;
  const { references, faults } = parts.references;
  return {
    fleetId: settings.trust.fleet.fleetId,
    broker: { url: settings.trust.fleet.broker.url, connected: bus.connected },
    evidence: { received, accepted, dropped, refused: Object.fromEntries(refused) },
    tooFast: Object.fromEntries(postRoom.dropped),
    references: {
      profiles: [...references.profiles.keys()],
      releases: [...references.releases.values()].map(({ id, modelId, version, securityVersion, withdrawn }) => ({
        id,
        modelId,
        version,
        securityVersion,
        withdrawn,
      })),
      faults: [...faults, ...(settings.ekTrust.fault === null ? [] : [settings.ekTrust.fault])],
    },
    devicesWithCommands: await registry.devicesWithCommands(),
    gap,
  };
}
