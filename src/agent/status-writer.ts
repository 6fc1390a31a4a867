// Keeps STATE/status.json true: what the slots may be used for, until when, and that somebody still measures.
import { join } from 'node:path';
import { toHex } from '../bytes/text.ts';
import { writeFileDurably } from '../files/durable.ts';
import { NO_GLASS } from './glass.ts';
import { ReleaseError } from '../errors.ts';
import { diskError } from '../files/space.ts';
import type { Log } from '../log.ts';
import type { LeaseNow } from './lease.ts';
import type { MachineNow } from './machine.ts';
import type { SlotKeeper } from './slot-keeper.ts';
import type { Word } from './slot-policy.ts';
import type { AgentStatus, SlotStatus } from './status.ts';

export interface StatusWriterParts {
  readonly stateDir: string;
  readonly deviceId: string;
  readonly fleetId: string;
  readonly agent: string;
  /** ms after which a status that was not written again is not believed: two full passes and some. */
  readonly validMs: number;
  readonly keeper: Pick<SlotKeeper, 'states' | 'stateOf'>;
  /** Version floor of each slot that has one by the profile; null: it is not in the TPM. */
  readonly floors: ReadonlyMap<string, number | null>;
  machine(): Promise<MachineNow>;
  readonly log: Log;
}

function floorOf(floors: StatusWriterParts['floors'], slot: string): Pick<SlotStatus, 'floor'> {
  const floor = floors.get(slot);
  return floor === undefined ? {} : { floor };
}

function rowsOf({ keeper, floors }: StatusWriterParts, word: Word, uptime: number): SlotStatus[] {
  const { lease, glasses } = word;
  const expired: LeaseNow = { state: 'expired', sinceMs: 0, status: lease.state === 'running' ? lease.status : 'none' };
  return keeper.states(word).map(({ known, state }) => {
    const leftMs = lease.state === 'running' ? lease.leftMs : glasses.get(known.slot.name)?.leftMs;
    return {
      slot: known.slot.name,
      use: state.use,
      why: state.why,
      release: known.event.release === null ? null : toHex(known.event.release),
      version: known.expected?.passport.version ?? null,
      leaseUntil: leftMs === undefined ? null : uptime + Math.floor(leftMs),
      afterLease: keeper.stateOf(known, { lease: expired, glasses: NO_GLASS }).use,
      ...floorOf(floors, known.slot.name),
    };
  });
}

export class StatusWriter {
  readonly #parts: StatusWriterParts;
  /** The disk did not take the last one. */
  #failed = false;

  constructor(parts: StatusWriterParts) {
    this.#parts = parts;
  }

  /**
   * Writes STATE/status.json durably and as a whole. A disk that does not take it stops nobody: the old one is not believed for long, and
   * who asks over the socket hears the new one.
   */
  async write(word: Word, verdict: string | null): Promise<AgentStatus> {
    const { deviceId, fleetId, agent, validMs } = this.#parts;
    const { bootId, uptime } = await this.#parts.machine();
    const status: AgentStatus = {
      v: 1,
      bootId,
      writtenAt: uptime,
      validUntil: uptime + validMs,
      deviceId,
      fleetId,
      agent,
      verdict,
      slots: rowsOf(this.#parts, word, uptime),
    };
    await this.#write(Buffer.from(`${JSON.stringify(status, null, 2)}\n`));
    return status;
  }

  async #write(bytes: Buffer): Promise<void> {
    const { stateDir, log } = this.#parts;
    const before = this.#failed;
    this.#failed = false;
    try {
      await writeFileDurably(join(stateDir, 'status.json'), bytes, 0o644);
    } catch (error) {
      const failed = diskError(stateDir, error);
      if (!(failed instanceof ReleaseError)) throw error;
      this.#failed = true;
      if (!before) log.write('warning', 'status', `the status could not be written: ${failed.message}`);
    }
  }
}
