// What a bad release is to the gate's tests, and the three ways to make one.
import type { StateGateParts } from '../../src/agent/model-gate.ts';
import type { HashPool } from '../../src/files/hash-pool.ts';
import type { Passport } from '../../src/release/types.ts';
import type { ReleaseRuleId } from '../../src/rules/release-rules.ts';
import { makeRelease, signAgain } from '../release/publisher.ts';
import type { MadeRelease, ReleasePlan } from '../release/publisher.ts';

export type Stage = 'signature' | 'content' | 'admission' | 'files' | 'manifest';

export interface BadRelease {
  readonly name: string;
  /** The rules of its findings, each once, in order. */
  readonly rules: readonly ReleaseRuleId[];
  /** The named check without which it would get in; null where a parser refuses it. */
  readonly check: { readonly stage: Stage; readonly rule: ReleaseRuleId } | null;
  /** The manifest in the passport catches it as well. */
  readonly alsoManifest?: boolean;
  make(folder: string, pool: HashPool): Promise<MadeRelease>;
  /** What the release that runs says, given the id of the bad one. */
  running?(id: string): Partial<Passport>;
  readonly device?: Partial<StateGateParts>;
}

export const one = (stage: Stage, rule: ReleaseRuleId): Pick<BadRelease, 'rules' | 'check'> => ({
  rules: [rule],
  check: { stage, rule },
});
export const parsed = (...rules: ReleaseRuleId[]): Pick<BadRelease, 'rules' | 'check'> => ({ rules, check: null });

/** Signed by the publisher, and not changed after that. */
export const planned =
  (plan: ReleasePlan): BadRelease['make'] =>
  async (folder, pool) =>
    makeRelease(folder, pool, { ...plan, passport: { securityVersion: 2, ...plan.passport } });

/** Made well, then changed by somebody on the way. */
export const edited =
  (edit: (folder: string) => void, plan: ReleasePlan = {}): BadRelease['make'] =>
  async (folder, pool) => {
    const made = await planned(plan)(folder, pool);
    edit(folder);
    return made;
  };

/** The publisher signs a statement that the product would not make. */
export const spoken =
  (payload: () => Buffer): BadRelease['make'] =>
  async (folder, pool) => {
    const made = await planned({})(folder, pool);
    return signAgain(made, payload());
  };
