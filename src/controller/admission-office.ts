// What operators decide of those who come later: keys let in one by one, batches of factory lines, one-time tokens.
import { join } from 'node:path';
import { TouchstoneError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { AdmissionParts } from './admission.ts';
import { openAllowList } from './allow-list.ts';
import type { AllowedEk, AllowList } from './allow-list.ts';
import { BatchShelf } from './batch-shelf.ts';
import type { BatchTaken, BatchView, ShelfParts } from './batch-shelf.ts';
import type { EnrolmentDesk } from './enrolment.ts';
import type { Registry } from './registry.ts';
import { STATE_FILES } from './settings.ts';
import { Tokens } from './tokens.ts';

export interface AdmissionOfficeParts {
  readonly registry: Pick<Registry, 'devices'>;
  readonly desk: Pick<EnrolmentDesk, 'admitAllowed'>;
  readonly tokens: Tokens;
  readonly allowed: AllowList;
  readonly batches: BatchShelf;
  readonly clock: Clock;
}

/** What lets newcomers in, as it lies in a state directory and a registry. */
export function admissionIn(
  stateDir: string,
  { registry, clock, log, trust }: Pick<ShelfParts, 'trust' | 'log'> & { registry: Registry; clock: Clock },
): AdmissionParts & Pick<AdmissionOfficeParts, 'batches'> {
  const folder = join(stateDir, STATE_FILES.batches);
  return {
    tokens: new Tokens(registry),
    allowed: openAllowList(join(stateDir, STATE_FILES.allowed)),
    batches: new BatchShelf({ folder, trust, now: () => clock.now(), log }),
    clock,
    log,
  };
}

/** Who may enrol without a person at the moment: by name, and by batch. */
export interface Expected {
  readonly entries: readonly AllowedEk[];
  readonly batches: readonly BatchView[];
}

export class AdmissionOffice {
  readonly #parts: AdmissionOfficeParts;

  constructor(parts: AdmissionOfficeParts) {
    this.#parts = parts;
  }

  /** A one-time enrolment token, good for so long; it is shown once. Errors: StoreError. */
  async token(name: string, forMs: number): Promise<string> {
    return this.#parts.tokens.issue(name, this.#parts.clock.now() + forMs);
  }

  /** Lets endorsement keys in beforehand; devices that wait with one of them are let in now. Their ids. */
  async allow(entries: readonly AllowedEk[]): Promise<string[]> {
    this.#parts.allowed.add(entries);
    return this.#admitWaiting();
  }

  /** Takes a batch that a station signed; devices of it that wait are let in now. Errors: TouchstoneError CONTROL_REFUSED. */
  async takeBatch(file: Uint8Array): Promise<BatchTaken & { readonly admitted: readonly string[] }> {
    const taken = await this.#parts.batches.take(file);
    return { ...taken, admitted: 'refused' in taken ? [] : await this.#admitWaiting() };
  }

  async #admitWaiting(): Promise<string[]> {
    const { registry, desk } = this.#parts;
    const admitted: string[] = [];
    for (const { id, state } of await registry.devices()) {
      if (state === 'pending' && (await desk.admitAllowed(id))) admitted.push(id);
    }
    return admitted;
  }

  /** Who has enrolled meanwhile keeps his place. */
  expected(): Expected {
    const { allowed, batches } = this.#parts;
    return { entries: allowed.list(), batches: batches.list() };
  }

  /** The exact file of a batch. Errors: TouchstoneError. */
  async batchFile(id: string): Promise<Buffer> {
    return this.#parts.batches.file(id);
  }

  /** Takes a key off the list, or a whole batch back. Errors: TouchstoneError CONTROL_REFUSED. */
  async disallow(name: string): Promise<void> {
    const { allowed, batches } = this.#parts;
    if (/^[0-9a-f]{32}$/.test(name)) return batches.withdraw(name);
    if (allowed.remove(name)) return undefined;
    throw new TouchstoneError('CONTROL_REFUSED', `no endorsement key of the Name ${name} is let in beforehand`);
  }
}
