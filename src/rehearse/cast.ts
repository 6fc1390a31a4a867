// Who and what takes part in the scenes, and the facts that they find.
import type { Profile, SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Sandbox } from '../testing/sandbox.ts';
import type { Step } from '../testing/play.ts';
import type { SceneName } from './acts.ts';
import type { ComparedRun } from './compare-run.ts';
import type { Install } from './predict.ts';

/** Bytes; null: no limit. */
export interface Limits {
  readonly memory: number | null;
  readonly disk: number | null;
}

/** What the scenes found that a report shows apart from whether they went as expected. */
export interface Facts {
  resources: { readonly memory: number; readonly disk: number } | null;
  run: ComparedRun | null;
  /** Rules of the findings of the first verdict. */
  warnings: readonly string[];
}

export interface Cast {
  readonly sandbox: Sandbox;
  /** As it is played. */
  readonly profile: Profile;
  readonly profileDigest: Uint8Array;
  readonly slot: SlotProfile;
  readonly release: SignedRelease;
  /** What the devices run now; null for new ones. */
  readonly from: SignedRelease | null;
  /** What is installed up to the prediction, in order. */
  readonly installs: readonly Install[];
  readonly limits: Limits;
  readonly facts: Facts;
}

/** A step with a name for scripts. */
export interface Scene extends Step {
  readonly name: SceneName;
}
