// A device's state directory with its gate, on a journal in memory, and what a test wants to see of it.
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateGate } from '../../src/agent/model-gate.ts';
import type { StateGateParts } from '../../src/agent/model-gate.ts';
import type { Outcome } from '../../src/agent/command-runner.ts';
import { removeTree } from '../../src/files/durable.ts';
import type { HashPool } from '../../src/files/hash-pool.ts';
import type { Profile, SlotProfile } from '../../src/profile/profile.ts';
import { emptySlot } from '../../src/store/journal.ts';
import type { SlotRow } from '../../src/store/journal.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { NOW, trustOf } from '../release/publisher.ts';

const slot = (name: string, role: string, modelId: string): SlotProfile => ({
  name,
  role,
  modelIds: [modelId],
  configs: [],
  required: true,
  onFailure: 'stop',
  onLeaseExpired: 'continue',
});

export const profile: Profile = {
  v: 1,
  id: 'edge',
  hardwareClass: 'edge-x64',
  tpm: { tcti: 'auto', bank: 'sha256', eventPcr: 15, bootPcrs: [], ownership: 'exclusive' },
  slots: [slot('main', 'perception', 'lane-keeper'), slot('signs', 'reading', 'sign-reader')],
  runtime: null,
  maxDetectionSeconds: 60,
  attestEverySeconds: 60,
  leaseSeconds: 300,
};

export class Device implements AsyncDisposable {
  readonly stateDir: string;
  readonly journal: MemoryJournal = new MemoryJournal();
  readonly pool: HashPool;
  #order = 0;

  constructor(pool: HashPool, stateDir: string = mkdtempSync(join(tmpdir(), 'gate-'))) {
    this.pool = pool;
    this.stateDir = stateDir;
  }

  parts(changes: Partial<StateGateParts> = {}): StateGateParts {
    const { journal, stateDir, pool } = this;
    return {
      journal,
      stateDir,
      trust: trustOf(),
      profile,
      pool,
      session: Buffer.alloc(16, 1),
      now: () => NOW,
      agentVersion: '0.1.0',
      ...changes,
    };
  }

  gate(changes: Partial<StateGateParts> = {}): StateGate {
    return new StateGate(this.parts(changes));
  }

  async row(slotName = 'main'): Promise<SlotRow> {
    const rows = await this.journal.slots();
    return rows.find((one) => one.slot === slotName) ?? emptySlot(slotName);
  }

  /** As the command runner does it: the order first, then the gate. A trial that begins passes at once. */
  async install(
    release: string,
    source: string | null,
    options: { slot?: string; changes?: Partial<StateGateParts> } = {},
  ): Promise<Outcome> {
    const outcome = await this.stage(release, source, options);
    const name = options.slot ?? 'main';
    if ((await this.row(name)).state === 'TRIAL') await this.gate(options.changes).commit(name);
    return outcome;
  }

  /** The same, and the trial stays open. */
  async stage(
    release: string,
    source: string | null,
    options: { slot?: string; changes?: Partial<StateGateParts> } = {},
  ): Promise<Outcome> {
    const name = options.slot ?? 'main';
    const row = { ...(await this.row(name)), order: ++this.#order };
    await this.journal.setSlot(row);
    const body = { kind: 'install', slot: name, order: row.order, release, source } as const;
    return this.gate(options.changes).install(body, row);
  }

  /** Release id that the slot's link leads to, or null. */
  linked(slotName = 'main'): string | null {
    const path = join(this.stateDir, 'slots', slotName);
    return existsSync(path) ? (readlinkSync(path).split('/').at(-1) ?? null) : null;
  }

  /** Reads a file through the slot's link, as a consumer does. */
  read(file: string, slotName = 'main'): string {
    return readFileSync(join(this.stateDir, 'slots', slotName, 'model', file), 'utf8');
  }

  /** Names under a folder of the state directory. */
  names(folder: string): string[] {
    const path = join(this.stateDir, folder);
    return existsSync(path) ? readdirSync(path).toSorted() : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.stateDir);
  }
}
