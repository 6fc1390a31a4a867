// STATE/status.json: what the agent says of each slot to the programs beside it, and until when that may be believed.
import { name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import type { SlotUse } from './slot-policy.ts';

export interface SlotStatus {
  readonly slot: string;
  readonly use: SlotUse;
  readonly why: string;
  readonly release: string | null;
  readonly version: string | null;
  /** Machine uptime (ms) at which the lease, or the time of break-glass, turns `use` into `afterLease`; null: it does not. */
  readonly leaseUntil: number | null;
  readonly afterLease: SlotUse;
  /** Its version floor in the TPM; null: it is not there, and nothing may be loaded. Absent: the profile names none. */
  readonly floor?: number | null;
}

/** Times are ms of uptime (CLOCK_BOOTTIME) of the boot `bootId`: nobody can turn them, and they end with the boot. */
export interface AgentStatus {
  readonly v: 1;
  readonly bootId: string;
  readonly writtenAt: number;
  /** The agent writes again before this; later, nobody is measuring. */
  readonly validUntil: number;
  readonly deviceId: string;
  readonly fleetId: string;
  readonly agent: string;
  readonly verdict: string | null;
  readonly slots: readonly SlotStatus[];
}

const useShape = v.picklist(['ready', 'break-glass', 'degraded', 'stopped']);

export const agentStatusShape: Shape<AgentStatus> = v.object({
  v: v.literal(1),
  bootId: text(64),
  writtenAt: uint(),
  validUntil: uint(),
  deviceId: text(64),
  fleetId: text(64),
  agent: text(64),
  verdict: v.nullable(text(64)),
  slots: v.pipe(
    v.array(
      v.object({
        slot: name,
        use: useShape,
        why: text(2048),
        release: v.nullable(text(128)),
        version: v.nullable(text(128)),
        leaseUntil: v.nullable(uint()),
        afterLease: useShape,
        floor: v.exactOptional(v.nullable(uint())),
      }),
    ),
    v.maxLength(32),
  ),
});

export interface SlotAnswer {
  readonly slot: string;
  /** True: load it. Under `break-glass` that is somebody's word at the device, and whoever uses the model should see it. */
  readonly trusted: boolean;
  readonly use: SlotUse;
  readonly why: string;
  readonly release: string | null;
  readonly version: string | null;
  /** ms until the lease, or the time of break-glass, ends; null: it does not end, or has ended. */
  readonly leaseLeft: number | null;
  /** Its version floor in the TPM, as the agent last read it; null: it is not there. Absent: the profile names none. */
  readonly floor?: number | null;
}

/** Judges what a status file says of `slot` at `uptime` of boot `bootId`. Anything that is not surely so is not trusted. */
export function judgeSlot(status: AgentStatus, slot: SlotStatus, now: { bootId: string; uptime: number }): SlotAnswer {
  const { release, version } = slot;
  const answer = (use: SlotUse, why: string, leaseLeft: number | null = null): SlotAnswer => ({
    slot: slot.slot,
    trusted: use === 'ready' || use === 'break-glass',
    use,
    why,
    release,
    version,
    leaseLeft,
    ...(slot.floor === undefined ? {} : { floor: slot.floor }),
  });
  if (status.bootId !== now.bootId)
    return answer('stopped', 'the machine was started again and the agent has not measured since');
  if (now.uptime > status.validUntil) return answer('stopped', 'the agent has stopped measuring');
  if (slot.leaseUntil !== null && now.uptime >= slot.leaseUntil) {
    const over = slot.use === 'break-glass' ? 'the time of break-glass is over' : "the controller's last word ran out";
    return answer(slot.afterLease, over);
  }
  return answer(slot.use, slot.why, slot.leaseUntil === null ? null : slot.leaseUntil - now.uptime);
}
