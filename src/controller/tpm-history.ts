// A TPM that was cleared, or whose clock or counters went back: somebody looked into it, and its history begins anew.
import type { RuleId } from '../rules/catalogue.ts';
import type { RowState } from '../verifier/types.ts';
import type { DeviceRow, Registry } from './registry.ts';

/** Findings that stay, whatever the device sends, until somebody accepts them. */
const WENT_BACK: ReadonlySet<RuleId> = new Set(['tpm-cleared', 'tpm-cleared-or-replaced', 'clock-rolled-back']);

/** Its newest verdict holds its TPM's history against it. */
export function tpmWentBack({ verdict }: Pick<DeviceRow, 'verdict'>): boolean {
  return verdict?.findings.some(({ rule }) => WENT_BACK.has(rule)) ?? false;
}

function withoutLife({ log }: RowState): RowState['log'] {
  if (log === null) return null;
  const { tpmLife: _before, ...rest } = log;
  return rest;
}

/**
 * What its next evidence says of life, clock and counters is believed as if it were the first; the keys, the floors it ever had, its
 * log and its record stay. Evidence that was judged before does not count after. False when newer was accepted meanwhile.
 */
export async function beginTpmHistory(registry: Pick<Registry, 'putRow'>, { id, row }: DeviceRow): Promise<boolean> {
  const { generation } = row;
  return registry.putRow(id, generation, {
    generation: generation + 1,
    log: withoutLife(row),
    clock: 0n,
    maxResetCount: 0,
  });
}
