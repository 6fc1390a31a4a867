// What ends a trial, and what does not: its health, a word about this very trial, its time, and its lease.
import { beforeEach, describe, expect, test } from 'vitest';
import type { LeaseNow } from '../../src/agent/lease.ts';
import { TrialKeeper } from '../../src/agent/trial-keeper.ts';
import { trialVerdict } from '../../src/agent/trial-verdict.ts';
import type { Reason } from '../../src/gate/settle.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';
import type { ResultStatement, StatedFinding } from '../../src/protocol/messages.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import { emptySlot } from '../../src/store/journal.ts';
import type { SlotRow } from '../../src/store/journal.ts';
import { slotProfile } from '../measure/slots.ts';

const NEW = 'ab'.repeat(32);
const finding = (rule: string, status: StatedFinding['status'], subject: string): StatedFinding => ({
  rule,
  status,
  subject,
  expected: 'e',
  found: 'f',
  source: 'fleet',
});
const TIER = finding('tier-software', 'warning', 'device');

function result(status: ResultStatement['status'], findings: readonly StatedFinding[] = []): ResultStatement {
  const slots = [{ slot: 'main', status: status === 'none' ? ('none' as const) : ('affirming' as const) }];
  return { status, findings, slots } as unknown as ResultStatement;
}

describe('a result', () => {
  test.each([
    ['affirming passes', result('affirming'), 'pass'],
    ['with nothing but its software TPM passes', result('warning', [TIER]), 'pass'],
    [
      'with what was wrong before this trial passes',
      result('warning', [TIER, finding('changed-since-boot', 'warning', 'main')]),
      'pass',
    ],
    [
      'with another warning waits',
      result('warning', [TIER, finding('measured-long-ago', 'warning', 'device')]),
      'wait',
    ],
    [
      'against the device fails',
      result('contraindicated', [finding('quarantine', 'contraindicated', 'device')]),
      'fail',
    ],
    ['against this slot fails', result('contraindicated', [finding('model-bytes', 'contraindicated', 'main')]), 'fail'],
    [
      'against another slot alone passes',
      result('contraindicated', [finding('slot-empty', 'contraindicated', 'signs')]),
      'pass',
    ],
    ['that judged nothing waits', result('none'), 'wait'],
    ['that does not speak of the slot waits', { ...result('affirming'), slots: [] }, 'wait'],
    [
      'against the slot without a reason fails',
      { ...result('contraindicated'), slots: [{ slot: 'main', status: 'contraindicated' as const }] },
      'fail',
    ],
  ])('%s', (_, statement, end) => {
    expect(trialVerdict(statement, 'main').end).toBe(end);
  });
});

const EVENT = 7;
const release = { id: NEW } as SignedRelease;
const running: LeaseNow = { state: 'running', leftMs: 1000, status: 'warning' };
const expired: LeaseNow = { state: 'expired', sinceMs: 1, status: 'warning' };

class Scene {
  row: SlotRow = { ...emptySlot('main'), active: 'old', staged: NEW, state: 'TRIAL', tries: 1 };
  readonly ends: string[] = [];
  now = 1000;
  health: Promise<Reason | null> = Promise.resolve(null);
  readonly keeper: TrialKeeper;
  #work: Promise<void> = Promise.resolve();

  constructor(slot: Partial<SlotProfile> = {}, floor: 'done' | 'waits' = 'done') {
    this.keeper = new TrialKeeper({
      slots: [{ ...slotProfile(), ...slot }],
      gate: {
        standing: async () => ({ row: this.row }),
        commit: async () => {
          this.ends.push('commit');
          const waits = floor === 'waits' && this.row.state === 'TRIAL';
          this.row = waits ? { ...this.row, state: 'COMMITTING' } : { ...this.row, state: 'COMMITTED', active: NEW };
          return this.row;
        },
        rollBack: async (_, { rule }) => {
          this.ends.push(rule);
          this.row = { ...this.row, state: 'COMMITTED', staged: null };
          return this.row;
        },
        addRunning: async (_, ms) => {
          this.row = { ...this.row, ranMs: this.row.ranMs + ms };
          return this.row.ranMs;
        },
      },
      log: { write: () => undefined },
      monotonic: () => this.now,
      check: async () => this.health,
      soon: (work) => {
        this.#work = this.#work.then(work);
      },
      switched: async () => undefined,
      moved: async () => undefined,
    });
  }

  /** Begins, and has its health check end. */
  async begin(resumed = false): Promise<void> {
    await this.keeper.begin('main', release, EVENT, resumed);
    await this.health;
    await new Promise(setImmediate);
    await this.#work;
  }

  async pass(ms: number, lease: LeaseNow, use: 'ready' | 'stopped' = 'ready'): Promise<void> {
    this.now += ms;
    await this.keeper.tick(lease, () => use);
  }
}

describe('a trial', () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = new Scene();
    await scene.begin();
  });

  test('ends by no result that has not seen its engine', async () => {
    scene.keeper.carries('main', EVENT + 2);
    scene.keeper.carries('main', EVENT + 1);
    await scene.keeper.heard(result('affirming'), { logTo: EVENT + 1 });
    expect(scene.ends).toEqual([]);
    await scene.keeper.heard(result('affirming'), { logTo: EVENT + 2 });
    expect(scene.ends).toEqual(['commit']);
  });

  test('is rolled back by its health check, and waits for a word after it', async () => {
    expect(scene.keeper.stage('main')).toBe('result');
    const ill = new Scene();
    ill.health = Promise.resolve({ rule: 'health-output', detail: 'x' });
    await ill.begin();
    expect(ill.ends).toEqual(['health-output']);
    expect(ill.keeper.stage('main')).toBeNull();
  });

  test('is committed by a word for evidence that carries its activation, and by no older one', async () => {
    await scene.keeper.heard(result('affirming'), { logTo: EVENT - 1 });
    expect(scene.ends).toEqual([]);
    await scene.keeper.heard(result('affirming'), { logTo: EVENT });
    expect(scene.ends).toEqual(['commit']);
  });

  test('is not rolled back by a word against what was there before it', async () => {
    const against = result('contraindicated', [finding('model-bytes', 'contraindicated', 'main')]);
    await scene.keeper.heard(against, { logTo: EVENT - 1 });
    expect(scene.ends).toEqual([]);
    await scene.keeper.heard(against, { logTo: EVENT + 1 });
    expect(scene.ends).toEqual(['model-bytes']);
  });

  test('is not committed before its health check has ended, and is rolled back all the same', async () => {
    const slow = new Scene();
    slow.health = new Promise(() => undefined);
    await slow.keeper.begin('main', release, EVENT, false);
    await slow.keeper.heard(result('affirming'), { logTo: EVENT });
    await slow.pass(3_600_000, running);
    expect(slow.ends).toEqual([]);
    expect(slow.keeper.stage('main')).toBe('health');
    await slow.keeper.altered('main');
    expect(slow.ends).toEqual(['model-bytes']);
  });

  test('is committed after it could be used for as long as the profile says, counted only while it could', async () => {
    const timed = new Scene({ commitAfterSeconds: 10 });
    await timed.begin();
    await timed.pass(1, running);
    await timed.pass(9000, running);
    await timed.pass(60_000, running, 'stopped');
    await timed.pass(60_000, running);
    expect(timed.row.ranMs).toBe(69_000);
    expect(timed.ends).toEqual(['commit']);
  });

  test.each([undefined, 'never' as const])('is never committed by time where the profile says %s', async (after) => {
    const patient = new Scene(after === undefined ? {} : { commitAfterSeconds: after });
    await patient.begin();
    for (let times = 0; times < 5; times++) await patient.pass(1e9, running);
    expect(patient.ends).toEqual([]);
  });

  test('time that is no use does not count', async () => {
    const stopped = new Scene({ commitAfterSeconds: 1 });
    await stopped.begin();
    for (let times = 0; times < 5; times++) await stopped.pass(1e6, { state: 'none' }, 'stopped');
    expect(stopped.ends).toEqual([]);
  });

  test('is rolled back when its lease runs out and the profile says stop', async () => {
    const stop = new Scene({ onLeaseExpired: 'stop' });
    await stop.begin();
    await stop.pass(1, { state: 'none' });
    await stop.pass(1, expired);
    expect(stop.ends).toEqual([]);
    await stop.pass(1, running);
    await stop.pass(1, expired);
    expect(stop.ends).toEqual(['lease-expired']);
    const resumed = new Scene({ onLeaseExpired: 'stop' });
    await resumed.begin(true);
    await resumed.pass(1, expired);
    expect(resumed.ends).toEqual(['lease-expired']);
    const goesOn = new Scene({ onLeaseExpired: 'continue' });
    await goesOn.begin(true);
    await goesOn.pass(1, expired);
    expect(goesOn.ends).toEqual([]);
  });

  test('that waits for its floor asks again, and is not rolled back any more', async () => {
    const waits = new Scene({ onLeaseExpired: 'stop' }, 'waits');
    await waits.begin();
    await waits.keeper.heard(result('affirming'), { logTo: EVENT });
    expect(waits.keeper.stage('main')).toBe('floor');
    await waits.keeper.altered('main');
    await waits.keeper.heard(result('contraindicated', [finding('x', 'contraindicated', 'main')]), { logTo: EVENT });
    await waits.pass(1, running);
    expect(waits.ends).toEqual(['commit', 'commit']);
    expect(waits.keeper.stage('main')).toBeNull();
  });
});
