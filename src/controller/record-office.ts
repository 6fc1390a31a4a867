// Records of acceptances for people who were not there: made of the next evidence of a device that an operator asks for.
import { join } from 'node:path';
import type { DsseEnvelope } from '../crypto/dsse.ts';
import { TouchstoneError } from '../errors.ts';
import { signJwt } from '../crypto/jwt.ts';
import { appraise } from '../verifier/appraise.ts';
import { earClaims } from '../verifier/ear.ts';
import { verdictOf } from '../verifier/result.ts';
import { makeRecord } from '../verifier/record.ts';
import type { Log } from '../log.ts';
import type { Judged } from './intake.ts';
import { isAside } from './judging.ts';
import type { Operator } from './operator.ts';
import { RecordKeeper } from './record-keeper.ts';
import type { DeviceRow, Registry } from './registry.ts';
import { STATE_FILES } from './settings.ts';
import type { Settings } from './settings.ts';

export interface RecordOfficeParts {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly settings: Settings;
  readonly log: Log;
  /** Name and version of this software, as tokens say it. */
  readonly build: string;
  /** From fleet.json to the statement that names the keys now. */
  readonly root: () => readonly DsseEnvelope[];
}

/** Null where no evidence was accepted in time. */
export interface Recorded {
  readonly device: DeviceRow | null;
  readonly record: Buffer | null;
}

/** Null where no evidence was accepted in time. */
export interface EarOf {
  readonly device: DeviceRow | null;
  /** A JWT, compact. */
  readonly token: string | null;
}

export class RecordOffice {
  readonly #parts: RecordOfficeParts;
  /** The last acceptance of each device that somebody waits for; null while there is none. */
  readonly #wanted = new Map<string, Judged | null>();
  readonly #keeper: RecordKeeper | null;

  constructor(parts: RecordOfficeParts) {
    this.#parts = parts;
    const { settings, log } = parts;
    const folder = join(settings.stateDir, STATE_FILES.records);
    const make = async (judged: Judged): Promise<Buffer> => this.#make(judged);
    this.#keeper = settings.file.records === 'changes' ? new RecordKeeper({ folder, make, log }) : null;
  }

  /** All changes so far are on the disk. */
  async idle(): Promise<void> {
    await this.#keeper?.idle();
  }

  /** Keeps what was judged, where it is wanted. Costs nothing otherwise. */
  accepted(judged: Judged): void {
    this.#keeper?.accepted(judged);
    if (this.#wanted.has(judged.known.id)) this.#wanted.set(judged.known.id, judged);
  }

  /** Asks for evidence; what was accepted then. Errors: TouchstoneError CONTROL_REFUSED. */
  async #next(
    name: string,
    ms: number,
    signal?: AbortSignal,
  ): Promise<{ device: DeviceRow | null; judged: Judged | null }> {
    const { operator } = this.#parts;
    const { id } = await operator.find(name);
    if (this.#wanted.has(id))
      throw new TouchstoneError('CONTROL_REFUSED', `${id} is asked for that already; try again`);
    this.#wanted.set(id, null);
    try {
      const device = await operator.attest(id, ms, signal);
      return { device, judged: this.#wanted.get(id) ?? null };
    } finally {
      this.#wanted.delete(id);
    }
  }

  /** Asks for evidence and records how it was accepted. Errors: TouchstoneError CONTROL_REFUSED. */
  async record(name: string, ms: number, signal?: AbortSignal): Promise<Recorded> {
    const { device, judged } = await this.#next(name, ms, signal);
    return { device, record: judged === null ? null : await this.#make(judged) };
  }

  /** Asks for evidence; its verdict as a signed EAR token. Errors: TouchstoneError CONTROL_REFUSED. */
  async ear(name: string, ms: number, signal?: AbortSignal): Promise<EarOf> {
    const { device, judged } = await this.#next(name, ms, signal);
    if (judged === null) return { device, token: null };
    const { input, known } = judged;
    const appraisal = appraise(input);
    const { status, findings } = verdictOf(appraisal, isAside(known), 0);
    const claims = earClaims({ ...appraisal, status, findings }, Math.floor(input.now / 1000), this.#parts.build);
    return { device, token: signJwt({ ...claims, sub: known.id }, this.#parts.settings.resultKey) };
  }

  async #make({ known, input, taken }: Judged): Promise<Buffer> {
    const { registry, settings, root } = this.#parts;
    const endorsement = (await registry.device(known.id))?.endorsement ?? null;
    if (endorsement === null) throw new TouchstoneError('CONTROL_REFUSED', `${known.id} is not endorsed any more`);
    const aside = isAside(known);
    const { fleetId } = settings.trust.fleet;
    const recorded = { input, fleetId, aside, endorsement, result: taken.verdict.envelope, root: root() };
    try {
      return makeRecord(recorded, settings.resultKey);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new TouchstoneError(
        'CONTROL_REFUSED',
        `the evidence of ${known.id} is too long for a record; ask again: the next one carries only what is new`,
        { cause: error },
      );
    }
  }
}
