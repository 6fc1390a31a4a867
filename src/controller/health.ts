// How a controller's daemon itself is doing, as it tells those who ask.
import type { ReferenceRelease } from '../verifier/types.ts';
import type { Gap } from './restoration.ts';

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
