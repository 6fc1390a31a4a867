// Rows of the registry's tables as what the controller knows them as.
import { decodeLogState } from '../verifier/log-state-codec.ts';
import type { CommandSqlRow, DeviceSqlRow } from './registry-statements.ts';
import type { CommandRow, DeviceRow, DeviceState, Trouble } from './registry.ts';

type Verdict = NonNullable<DeviceRow['verdict']>;

/** A device as the registry has it. */
export function toDevice(row: DeviceSqlRow): DeviceRow {
  const verdict =
    row.verdict === null
      ? null
      : { ...(JSON.parse(row.verdict) as Omit<Verdict, 'envelope'>), envelope: row.envelope ?? '' };
  return {
    id: row.id,
    state: row.state as DeviceState,
    label: row.label,
    profile: row.profile,
    tier: row.tier as DeviceRow['tier'],
    endorsement: row.endorsement,
    row: {
      generation: row.generation,
      log: row.log === null ? null : decodeLogState(row.log),
      clock: BigInt(row.clock),
      maxResetCount: row.max_reset,
    },
    verdict,
    // Accepted evidence is not written down as a hint besides.
    lastSeen: row.at === null || (row.last_seen ?? 0) > row.at ? row.last_seen : row.at,
    online: row.online === 1,
    session: row.session,
    lastSeq: row.last_seq,
    slots: JSON.parse(row.slots) as DeviceRow['slots'],
    trouble: row.trouble === null ? null : (JSON.parse(row.trouble) as Trouble),
  };
}

/** A command as the registry has it. */
export function toCommand(row: CommandSqlRow): CommandRow {
  const { created_at: createdAt, ...rest } = row;
  return { ...rest, createdAt };
}
