// Break-glass, attacked: it never loads what is not signed, never lasts longer or comes oftener than the profile says, and is told.
import { describe, expect, test } from 'vitest';
import { GlassKeeper } from '../../src/agent/glass-keeper.ts';
import type { GlassKeeperParts } from '../../src/agent/glass-keeper.ts';
import { resetCostsMs } from '../../src/agent/lease.ts';
import type { LeaseNow } from '../../src/agent/lease.ts';
import { slotState } from '../../src/agent/slot-policy.ts';
import type { SlotFound, SlotStage, SlotState } from '../../src/agent/slot-policy.ts';
import { glassClaim, WordKeeper } from '../../src/agent/word-keeper.ts';
import { MAX_REPORTS } from '../../src/evidence/claims.ts';
import type { LeaseKeeperParts } from '../../src/agent/lease-keeper.ts';
import { settleTpmLife } from '../../src/agent/tpm-life.ts';
import { lineLog } from '../../src/log.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';
import type { ResultStatement } from '../../src/protocol/messages.ts';
import type { TpmClock } from '../../src/tpm/port.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';

const UPDATE_MS = 4096;
const SECOND = 1000;
const REASON = 'theatre 2, the link is down';

const slot: SlotProfile = {
  name: 'triage',
  role: 'triage',
  modelIds: ['m'],
  configs: [],
  required: true,
  onFailure: 'last-good',
  onLeaseExpired: 'stop',
  breakGlass: { maxSeconds: 60 },
};
const expired: LeaseNow = { state: 'expired', sinceMs: 1, status: 'contraindicated' };
const running: LeaseNow = { state: 'running', leftMs: 1, status: 'warning' };

/** A device whose TPM clock the test turns; `start` is another run of its agent. */
class Device {
  readonly journal = new MemoryJournal();
  clock: TpmClock = { clock: 1_000_000n, resetCount: 5, restartCount: 0, safe: true };
  life: Buffer = Buffer.alloc(32, 1);
  keeper: GlassKeeper;
  #starts = 0;
  #slots: readonly SlotProfile[];

  constructor(slots: readonly SlotProfile[] = [slot]) {
    this.#slots = slots;
    this.keeper = this.start();
  }

  get parts(): GlassKeeperParts & Pick<LeaseKeeperParts, 'tpm' | 'life'> & { readonly journal: MemoryJournal } {
    return {
      journal: this.journal,
      tpm: { readClock: async () => this.clock, life: async () => this.life },
      life: this.life,
      clockUpdateMs: UPDATE_MS,
      slots: this.#slots,
      session: Buffer.alloc(16, this.#starts),
      log: lineLog(
        'text',
        () => 0,
        () => undefined,
      ),
      now: () => 7,
    };
  }

  start(slots: readonly SlotProfile[] = this.#slots): GlassKeeper {
    this.#slots = slots;
    this.#starts += 1;
    this.keeper = new GlassKeeper(this.parts);
    return this.keeper;
  }

  pass(ms: number): void {
    this.clock = { ...this.clock, clock: this.clock.clock + BigInt(ms) };
  }

  /** The power is cut: the TPM's clock goes back by what it had not recorded. */
  cut(back: number): GlassKeeper {
    const { clock, resetCount } = this.clock;
    this.clock = { ...this.clock, clock: clock - BigInt(back), resetCount: resetCount + 1 };
    return this.start();
  }

  /** The TPM is cleared, and the agent starts again. */
  async cleared(): Promise<void> {
    this.life = Buffer.alloc(32, 2);
    this.clock = { ...this.clock, clock: 0n, resetCount: 0 };
    await settleTpmLife(this.journal, this.parts.tpm, this.parts.log);
    this.start();
  }

  async state(lease: LeaseNow = expired, found: SlotFound = 'as-signed', stage?: SlotStage): Promise<SlotState> {
    return slotState(this.#slots[0] ?? slot, found, { lease, glasses: await this.keeper.now(lease) }, stage);
  }

  /** `done`, or the rule of the refusal. */
  async break(lease: LeaseNow = expired, found: SlotFound = 'as-signed', stage?: SlotStage): Promise<string> {
    const outcome = await this.keeper.break('triage', REASON, await this.state(lease, found, stage), lease);
    return outcome.broken ? 'done' : outcome.rule;
  }

  async use(): Promise<string> {
    return (await this.state()).use;
  }
}

describe('break-glass', () => {
  test('lets a signed model be loaded for the time of the profile, and no longer', async () => {
    const device = new Device();
    expect([await device.use(), await device.break(), await device.use()]).toEqual(['stopped', 'done', 'break-glass']);
    expect([...(await device.keeper.now(expired))]).toEqual([['triage', { leftMs: 60 * SECOND, reason: REASON }]]);
    device.pass(60 * SECOND - 1);
    expect(await device.use()).toBe('break-glass');
    device.pass(1);
    expect(await device.use()).toBe('stopped');
  });

  test('cannot be had again and again to stay for ever', async () => {
    const device = new Device();
    await device.break();
    expect((await device.state()).use).toBe('break-glass');
    const again = await device.keeper.break('triage', REASON, await device.state(), expired);
    expect(again).toMatchObject({ broken: false, rule: 'glass-broken' });
    device.pass(61 * SECOND);
    expect([await device.break(), await device.use()]).toEqual(['glass-broken', 'stopped']);
    device.start();
    expect([await device.break(), await device.use()]).toEqual(['glass-broken', 'stopped']);
  });

  test('does not grow by power cuts, however often and however far the clock goes back', async () => {
    const device = new Device();
    await device.break();
    for (let cuts = 0; cuts < 14; cuts += 1) {
      device.cut(UPDATE_MS);
      device.pass(UPDATE_MS);
    }
    // Nothing but resets went by, and each counts as what it may have hidden.
    expect(14 * resetCostsMs(UPDATE_MS)).toBeLessThan(60 * SECOND);
    expect(await device.use()).toBe('break-glass');
    device.cut(0);
    expect(await device.use()).toBe('stopped');
  });

  test('ends with a TPM that was cleared or is another, and is not whole again by it', async () => {
    const device = new Device();
    await device.break();
    device.clock = { clock: 1n, resetCount: 0, restartCount: 0, safe: true };
    device.start();
    expect([await device.use(), await device.break()]).toEqual(['stopped', 'glass-broken']);
  });

  test.each([
    ['altered or unsigned', 'altered', undefined],
    ['missing', 'empty', undefined],
    ['below the version floor', 'empty', { trial: null, needs: 2n }],
    ['not yet healthy', 'as-signed', { trial: 'health', needs: null }],
  ] as const)('is refused for a model that is %s, and one that becomes so stops', async (_title, found, stage) => {
    const device = new Device();
    expect(await device.break(expired, found, stage)).toBe('glass-model');
    expect(await device.journal.get('glass')).toBeNull();
    await device.break();
    expect((await device.state(expired, found, stage)).use).toBe('stopped');
  });

  test('is not for slots whose profile says nothing of it, and ends when the profile no longer does', async () => {
    const { breakGlass: _, ...without } = slot;
    expect(await new Device([without]).break()).toBe('glass-profile');
    const device = new Device();
    await device.break();
    device.start([{ ...slot, breakGlass: { maxSeconds: 30 } }]);
    device.pass(29 * SECOND);
    expect(await device.use()).toBe('break-glass');
    device.pass(SECOND);
    expect(await device.use()).toBe('stopped');
    device.start([without]);
    expect(await device.use()).toBe('stopped');
  });

  test('is not had in advance, while the lease runs', async () => {
    const device = new Device();
    expect(await device.break(running)).toBe('glass-needless');
  });

  test('is told before it counts: without a place for its report it is refused, and a cut leaves a report, never a glass alone', async () => {
    const full = new Device();
    const report = {
      session: Buffer.alloc(16),
      kind: 'tpm',
      rule: 'x',
      slot: null,
      subject: null,
      detail: 'x',
      at: 0,
    } as const;
    for (let n = 0; n < MAX_REPORTS - 2; n += 1) await full.journal.addReport(report);
    expect([await full.break(), await full.use()]).toEqual(['glass-reports', 'stopped']);

    const device = new Device();
    const written: string[] = [];
    const [put, add] = [device.journal.put.bind(device.journal), device.journal.addReport.bind(device.journal)];
    device.journal.put = async (...args) => {
      written.push('glass');
      return put(...args);
    };
    device.journal.addReport = async (...args) => {
      written.push('report');
      return add(...args);
    };
    await device.break();
    expect(written).toEqual(['report', 'glass']);
    const [told] = await device.journal.reports();
    expect(told).toMatchObject({ rule: 'break-glass', slot: 'triage', kind: 'command' });
    expect(told?.detail).toContain(REASON);
  });

  test('is in every evidence while it lasts, also when a controller says that it has the report', async () => {
    const device = new Device();
    await device.break();
    await device.journal.acknowledge(await device.journal.reports());
    expect(await device.journal.reports()).toEqual([]);
    expect(glassClaim({ lease: expired, glasses: await device.keeper.now(expired) })).toEqual({
      breakGlass: [{ slot: 'triage', leftMs: 60 * SECOND, reason: REASON }],
    });
  });

  test('ends with the clock that it was counted on, and stays broken: a cleared TPM brings it back no more', async () => {
    const device = new Device();
    await device.break();
    const before = device.clock;
    await device.cleared();
    device.clock = before;
    expect([await device.use(), await device.break()]).toEqual(['stopped', 'glass-broken']);
  });

  test('is whole again by a lease that runs, and by no other', async () => {
    const device = new Device();
    await device.break();
    await device.keeper.mend(expired);
    expect(await device.break()).toBe('glass-broken');
    await device.keeper.mend(running);
    expect([await device.use(), await device.break()]).toEqual(['stopped', 'done']);
  });
});

describe('results that were kept back', () => {
  const result = (evidence: Buffer, status: ResultStatement['status']): ResultStatement =>
    ({
      fleetId: 'f',
      deviceId: 'd',
      evidence: evidence.toString('hex'),
      status,
      leaseForMs: 10 * SECOND,
      acknowledged: [],
    }) as unknown as ResultStatement;

  test('mend no glass once their lease is over, one that grants nothing never does, and a fresh one does', async () => {
    const device = new Device();
    const words = new WordKeeper({ ...device.parts, fleetId: 'f', deviceId: 'd' });
    const quote = async (n: number): Promise<Buffer> => {
      const digest = Buffer.alloc(32, n);
      const { clock, resetCount, restartCount } = device.clock;
      await words.remember({ digest, clock, epoch: { resetCount, restartCount }, logTo: 1 });
      return digest;
    };
    const breakGlass = async (): Promise<string> => {
      const outcome = await words.breakGlass('triage', REASON, (word) => slotState(slot, 'as-signed', word));
      return outcome.broken ? 'done' : outcome.rule;
    };
    const held = [await quote(1), await quote(2)];
    device.pass(20 * SECOND);
    expect(await breakGlass()).toBe('done');
    for (const digest of held) {
      expect(await words.take(result(digest, 'affirming'))).toMatchObject({ taken: true, lease: true });
      expect(await breakGlass()).toBe('glass-broken');
    }
    await words.take(result(await quote(3), 'contraindicated'));
    expect(await breakGlass()).toBe('glass-broken');
    await words.take(result(await quote(4), 'warning'));
    expect((await words.now()).glasses.size).toBe(0);
    expect(await breakGlass()).toBe('glass-needless');
    device.pass(11 * SECOND);
    expect(await breakGlass()).toBe('done');
  });
});
