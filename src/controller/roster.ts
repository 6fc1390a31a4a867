// What the controller holds in memory of each device, so that evidence is judged without asking the registry first.
import { toUtf8 } from '../bytes/text.ts';
import type { DeviceRow, DeviceState, Registry } from './registry.ts';
import type { KeyObject } from 'node:crypto';
import { openStatement } from '../protocol/statement.ts';
import type { Finding } from '../rules/finding.ts';
import { trustedEndorsement } from '../verifier/endorsement.ts';
import type { RowState, TrustedEndorsement } from '../verifier/types.ts';

/** A known device. Acceptance in the registry is what counts; this may be behind it when there are other controllers. */
export interface Known {
  readonly id: string;
  readonly state: DeviceState;
  readonly profile: string;
  /** Null while pending, or when no result key of the root signed it. */
  readonly endorsement: TrustedEndorsement | null;
  readonly row: RowState;
  /** Null before the first verdict. */
  readonly verdict: { readonly at: number; readonly words: string } | null;
  readonly session: string | null;
  readonly lastSeq: number;
  readonly lastSeen: number | null;
  readonly online: boolean;
  /** As its newest evidence since the start of this controller says; absent before, and from agents that do not say. */
  readonly rootVersion?: number;
}

/** A verdict in one line: what is compared to see whether it changed, and what the history keeps. */
export function verdictWords(status: string, assurance: string, findings: readonly Finding[]): string {
  const rules = findings.map(({ rule, subject }) => (subject === 'device' ? rule : `${rule} (${subject})`));
  return `${status}, ${assurance}: ${rules.length === 0 ? 'all as expected' : [...new Set(rules)].toSorted().join(', ')}`;
}

export class Roster {
  readonly #registry: Registry;
  #resultKeys: ReadonlyMap<string, KeyObject>;
  readonly #wentBack: (id: string) => Promise<void>;
  readonly #known = new Map<string, Known>();
  /** An endorsement never changes: checked and imported once. */
  readonly #endorsements = new Map<
    string,
    { readonly envelope: string; readonly trusted: TrustedEndorsement | null }
  >();

  /** `wentBack`: the registry knows less of this device than it did before it was asked; only an older copy does. */
  constructor(
    registry: Registry,
    resultKeys: ReadonlyMap<string, KeyObject>,
    wentBack: (id: string) => Promise<void> = async () => Promise.resolve(),
  ) {
    this.#registry = registry;
    this.#resultKeys = resultKeys;
    this.#wentBack = wentBack;
  }

  /** Reads all devices of the registry. Errors: StoreError. */
  async load(): Promise<void> {
    for (const device of await this.#registry.devices()) this.#keep(device);
  }

  /** The root has spoken anew: endorsements count when one of these keys signed them. Errors: StoreError. */
  async useResultKeys(resultKeys: ReadonlyMap<string, KeyObject>): Promise<void> {
    this.#resultKeys = resultKeys;
    this.#endorsements.clear();
    await this.load();
  }

  /** As held in memory. */
  get(id: string): Known | null {
    return this.#known.get(id) ?? null;
  }

  all(): Iterable<Known> {
    return this.#known.values();
  }

  /** As the registry has it now; null when it does not know the device. Errors: StoreError. */
  async refresh(id: string): Promise<Known | null> {
    // As it was before we asked: what is accepted meanwhile proves nothing.
    const held = this.#known.get(id)?.row.generation ?? 0;
    const device = await this.#registry.device(id);
    if (held > (device?.row.generation ?? 0)) await this.#wentBack(id);
    if (device !== null) return this.#keep(device);
    this.#known.delete(id);
    return null;
  }

  /** Remembers what was accepted or seen. */
  update(known: Known, change: Partial<Known>): Known {
    const next = { ...known, ...change };
    this.#known.set(known.id, next);
    return next;
  }

  #keep(device: DeviceRow): Known {
    const { id, state, profile, row, session, lastSeq, lastSeen, online, verdict } = device;
    const known: Known = {
      id,
      state,
      profile,
      endorsement: this.#trusted(device),
      row,
      verdict:
        verdict === null
          ? null
          : { at: verdict.at, words: verdictWords(verdict.status, verdict.assurance, verdict.findings) },
      session,
      lastSeq,
      lastSeen,
      online,
    };
    this.#known.set(id, known);
    return known;
  }

  #trusted({ id, endorsement: envelope }: DeviceRow): TrustedEndorsement | null {
    if (envelope === null) return null;
    const held = this.#endorsements.get(id);
    if (held?.envelope === envelope) return held.trusted;
    const endorsement = openStatement('endorsement', toUtf8(envelope), this.#resultKeys);
    const trusted = endorsement === null || endorsement.deviceId !== id ? null : trustedEndorsement(endorsement);
    this.#endorsements.set(id, { envelope, trusted });
    return trusted;
  }
}
