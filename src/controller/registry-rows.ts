// Rows of the registry's tables as what the controller knows them as.
import { decodeLogState } from '../verifier/log-state-codec.ts';
import type { CommandSqlRow, DeviceSqlRow, EnrolmentSqlRow, StandingSqlRow } from './registry-statements.ts';
import type { CommandRow, DeviceRow, DeviceState, PendingEnrolment, Registry, Trouble } from './registry.ts';

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

/** A request as the registry has it. */
export function toEnrolment({ id, request, proven, findings }: EnrolmentSqlRow): PendingEnrolment {
  return { id, request, secretProven: proven === 1, findings: JSON.parse(findings) as PendingEnrolment['findings'] };
}

/** How far the registry is, as it says itself. */
export function toStanding(row: StandingSqlRow | undefined): Awaited<ReturnType<Registry['standing']>> {
  const newest = Math.max(row?.history ?? 0, row?.evidence ?? 0);
  return { life: row?.life ?? null, accepted: row?.accepted ?? 0, newest: newest === 0 ? null : newest };
}

/** The outcome of a command that another one, `id`, takes the place of. */
export function supersededBy(id: string, slot: string): string {
  const detail = 'a newer command for the same slot was given';
  return JSON.stringify({ kind: 'command', rule: 'superseded-order', slot, subject: id, detail });
}
