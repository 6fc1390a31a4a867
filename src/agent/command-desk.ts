// Which commands a device takes: of its own session only, in rising order, none twice. No disk and no clock is trusted for it.
import type { Command } from '../protocol/messages.ts';
import type { Report } from '../evidence/claims.ts';

export type CommandJudgement =
  | { readonly take: true }
  /** `silent`: what a broker does by itself (keeping, doubling, reordering) and nobody needs to read about. */
  | { readonly take: false; readonly silent: boolean; readonly why: string };

export interface DeskOwner {
  readonly fleetId: string;
  readonly deviceId: string;
  /** Hex of the 16 random bytes of this agent start. */
  readonly session: string;
}

/** RAM only: a new start has a new session, and with it nothing that was sent before is valid any more. */
export class CommandDesk {
  readonly #owner: DeskOwner;
  readonly #done = new Set<string>();
  #lastSeq = 0;

  constructor(owner: DeskOwner) {
    this.#owner = owner;
  }

  /** Goes into claims: the controller sees what was passed over. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /**
   * Judges an authentic command. `reports` are those not yet acknowledged: an id that has one was carried out, perhaps by an
   * earlier start. `full`: the report table has no place for an outcome, so nothing new may begin.
   */
  judge(command: Command, reports: readonly Report[], full: boolean): CommandJudgement {
    const owner = this.#owner;
    const refuse = (why: string, silent: boolean): CommandJudgement => ({ take: false, silent, why });
    if (command.fleetId !== owner.fleetId) return refuse('it is for another fleet', false);
    if (command.deviceId !== owner.deviceId) return refuse('it is for another device', false);
    if (command.session !== owner.session) return refuse('it is for another session', true);
    if (command.seq <= this.#lastSeq) return refuse(`its number ${command.seq} was passed already`, true);
    // A full table neither takes the command nor moves on: the controller may send the same one again after an acknowledgement.
    if (full) return refuse('the report table is full', false);
    this.#lastSeq = command.seq;
    const known = this.#done.has(command.id) || reports.some((report) => report.subject === command.id);
    if (known) return refuse('it was carried out already', true);
    this.#done.add(command.id);
    return { take: true };
  }
}
