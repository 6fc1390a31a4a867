// The Journal port in memory: for tests of what stands on a journal. Held to the same contract as the real one.
import type { Report } from '../../src/evidence/claims.ts';
import { sameEpoch } from '../../src/tpm/port.ts';
import type { Epoch } from '../../src/tpm/port.ts';
import type { FactKey, Journal, Lease, LogHead, LogStart, SentEvidence, SlotRow } from '../../src/store/journal.ts';
import { SENT_LIMIT } from '../../src/store/journal-sync.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const copy = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

/** `write` is called before each change: it may wait (a slow disk) or throw (the power is cut before the change). */
export class MemoryJournal implements Journal {
  #head: Mutable<LogHead> | null = null;
  #records: Buffer[] = [];
  readonly #slots = new Map<string, SlotRow>();
  #reports: Report[] = [];
  readonly #lastReport = new Map<string, number>();
  #started: { readonly id: string; readonly slot: string | null } | null = null;
  readonly #sent = new Map<string, SentEvidence>();
  #lease: Lease | null = null;
  readonly #facts = new Map<FactKey, Buffer>();
  readonly #write: (method: string) => Promise<void>;

  constructor(write: (method: string) => Promise<void> = async () => {}) {
    this.#write = write;
  }

  async head(): Promise<LogHead | null> {
    return this.#head === null ? null : { ...this.#head };
  }

  async newLog({ epoch, clock, why, first }: LogStart): Promise<void> {
    await this.#write('newLog');
    this.#records = first === undefined ? [] : [copy(first.record)];
    const pcr = first === undefined ? Buffer.alloc(32) : copy(first.pcr);
    this.#head = { epoch, clock, why, seq: this.#records.length, pcr, intent: null, aside: null };
  }

  #open(): Mutable<LogHead> {
    if (this.#head === null) throw new RangeError('there is no log yet');
    return this.#head;
  }

  #withIntent(seq: number): { head: Mutable<LogHead>; intent: NonNullable<LogHead['intent']> } {
    const head = this.#open();
    if (head.intent === null || head.intent.seq !== seq) throw new RangeError(`record ${seq} is not the open intent`);
    return { head, intent: head.intent };
  }

  async moveEpoch(epoch: Epoch, clock: bigint): Promise<void> {
    await this.#write('moveEpoch');
    const head = this.#open();
    if (sameEpoch(head.epoch, epoch)) throw new RangeError('the same epoch');
    head.epoch = epoch;
    head.clock = clock;
  }

  async openIntent(record: Buffer, digest: Buffer, from: 'new' | 'aside' = 'new'): Promise<number> {
    await this.#write('openIntent');
    const head = this.#open();
    if (head.intent !== null) throw new RangeError('an intent is open already');
    if (from === 'aside' && head.aside === null) throw new RangeError('nothing was set aside');
    head.intent = { seq: head.seq + 1, record: copy(record), digest: copy(digest) };
    if (from === 'aside') head.aside = null;
    return head.intent.seq;
  }

  async closeIntent(seq: number, pcr: Buffer): Promise<void> {
    await this.#write('closeIntent');
    const { head, intent } = this.#withIntent(seq);
    if (pcr.length !== 32) throw new RangeError(`PCR value of ${pcr.length} bytes`);
    this.#records.push(intent.record);
    head.seq = seq;
    head.pcr = copy(pcr);
    head.intent = null;
  }

  async dropIntent(seq: number): Promise<void> {
    await this.#write('dropIntent');
    this.#withIntent(seq).head.intent = null;
  }

  async setAside(seq: number): Promise<void> {
    await this.#write('setAside');
    const { head, intent } = this.#withIntent(seq);
    if (head.aside !== null) throw new RangeError('another record is set aside already');
    head.aside = intent.record;
    head.intent = null;
  }

  async records(from: number, to: number): Promise<Buffer[]> {
    if (to < from) return [];
    if (from < 1 || to > this.#records.length) throw new RangeError(`records ${from} to ${to}`);
    return this.#records.slice(from - 1, to);
  }

  async slots(): Promise<SlotRow[]> {
    return [...this.#slots.values()].toSorted((a, b) => (a.slot < b.slot ? -1 : 1));
  }

  async setSlot(row: SlotRow, report?: Omit<Report, 'n'>): Promise<void> {
    await this.#write('setSlot');
    this.#slots.set(row.slot, row);
    if (report !== undefined) this.#addReport(report);
  }

  async addReport(report: Omit<Report, 'n'>): Promise<void> {
    await this.#write('addReport');
    this.#addReport(report);
  }

  #addReport(report: Omit<Report, 'n'>): void {
    const key = copy(report.session).toString('hex');
    const n = (this.#lastReport.get(key) ?? 0) + 1;
    this.#lastReport.set(key, n);
    const { session, kind, rule, slot, subject, detail, at } = report;
    this.#reports.push({ session: copy(session), n, kind, rule, slot, subject, detail, at });
  }

  async reports(): Promise<Report[]> {
    return [...this.#reports];
  }

  async acknowledge(names: readonly { readonly session: Uint8Array; readonly n: number }[]): Promise<void> {
    await this.#write('acknowledge');
    const gone = new Set(names.map(({ session, n }) => `${copy(session).toString('hex')} ${n}`));
    this.#reports = this.#reports.filter(({ session, n }) => !gone.has(`${copy(session).toString('hex')} ${n}`));
  }

  async setStarted(command: { readonly id: string; readonly slot: string | null } | null): Promise<void> {
    await this.#write('setStarted');
    this.#started = command;
  }

  async started(): Promise<{ readonly id: string; readonly slot: string | null } | null> {
    return this.#started;
  }

  async remember(sent: SentEvidence): Promise<void> {
    await this.#write('remember');
    const key = sent.digest.toString('hex');
    this.#sent.delete(key);
    this.#sent.set(key, sent);
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size <= SENT_LIMIT) break;
      this.#sent.delete(oldest);
    }
  }

  async recall(digest: Uint8Array): Promise<SentEvidence | null> {
    return this.#sent.get(copy(digest).toString('hex')) ?? null;
  }

  async setLease(lease: Lease): Promise<void> {
    await this.#write('setLease');
    this.#lease = lease;
  }

  async lease(): Promise<Lease | null> {
    return this.#lease;
  }

  async get(key: FactKey): Promise<Buffer | null> {
    return this.#facts.get(key) ?? null;
  }

  async put(key: FactKey, value: Buffer | null): Promise<void> {
    await this.#write('put');
    if (value === null) this.#facts.delete(key);
    else this.#facts.set(key, copy(value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#write('close');
  }
}
