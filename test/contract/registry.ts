// The one suite that every Registry must pass; two openings of one registry are two controllers of one fleet.
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { encodeLogState } from '../../src/verifier/log-state-codec.ts';
import type { Acceptance, DeviceRow, Registry, ReportRow } from '../../src/controller/registry.ts';
import type { LogState } from '../../src/verifier/types.ts';
import { enrolmentContract } from './registry-enrolment.ts';

export const ID = 'abcdefghijklmnopqrstuvwxyz234567';
export const OTHER = 'bcdefghijklmnopqrstuvwxyz234567a';
const SESSION = '11'.repeat(16);

const log: LogState = {
  epoch: { resetCount: 4, restartCount: 1 },
  seq: 3,
  pcr: Buffer.alloc(32, 7),
  session: Buffer.alloc(16, 1),
  components: null,
  startedSession: Buffer.alloc(16, 1),
  foreignExtensions: 0,
  bootExplained: true,
  slots: [
    {
      slot: 'main',
      release: Buffer.alloc(32, 2),
      statement: Buffer.alloc(32, 3),
      manifest: Buffer.alloc(32, 4),
      configs: null,
      differing: [{ path: 'ä/b', expected: Buffer.alloc(32, 5), found: null }],
      more: 0,
      wasWrong: true,
    },
  ],
};

export function acceptanceOf(id: string, generation: number, change: Partial<Acceptance> = {}): Acceptance {
  return {
    id,
    state: 'approved',
    generation,
    next: { generation: generation + 1, log, clock: 2n ** 60n, maxResetCount: 4 },
    verdict: {
      status: 'warning',
      assurance: 'A0',
      findings: [],
      at: 1000 + generation,
      envelope: `{"n":${generation}}`,
    },
    session: SESSION,
    lastSeq: 0,
    slots: [{ slot: 'main', release: null, version: null, state: 'active', status: 'affirming' }],
    reports: [],
    change: null,
    evidence: Buffer.from(`evidence ${generation}`),
    ...change,
  };
}

function reportOf(n: number, subject: string | null, kind = 'command', rule = 'done'): ReportRow {
  const body = JSON.stringify({ kind, rule, slot: 'main', subject, detail: 'words', at: 1 });
  return { session: SESSION, n, kind, slot: 'main', subject, body, text: `${rule}: words` };
}

export async function enter(
  registry: Registry,
  id: string = ID,
  state: 'pending' | 'approved' = 'approved',
): Promise<void> {
  const enrolment = { id, request: Buffer.from(`request of ${id}`), secretProven: true, findings: [] };
  await registry.addDevice({ id, label: null, profile: 'edge', tier: 'software' }, enrolment);
  if (state === 'approved')
    await registry.setState(id, ['pending'], 'approved', { envelope: `{"of":"${id}"}`, tier: 'software' });
}

/** `open` opens the same registry again and again. */
export function registryContract(name: string, make: () => Promise<() => Promise<Registry>>): void {
  const opened = async (count = 1): Promise<Registry[]> => {
    const open = await make();
    const all: Registry[] = [];
    for (let i = 0; i < count; i++) all.push(await open());
    onTestFinished(async () => {
      for (const registry of all) await registry[Symbol.asyncDispose]();
    });
    return all;
  };
  const one = async (): Promise<Registry> => {
    const [registry] = await opened();
    if (registry === undefined) throw new TypeError('one was opened');
    return registry;
  };
  const device = async (registry: Registry, id: string = ID): Promise<DeviceRow> => {
    const row = await registry.device(id);
    if (row === null) throw new TypeError('the device is known');
    return row;
  };

  enrolmentContract(name, opened);

  describe(`${name} is a registry: a device`, () => {
    it('is kept as it came, and one that is known stays as it is', async () => {
      const registry = await one();
      expect(await registry.device(ID)).toBe(null);
      await enter(registry, ID, 'pending');
      const again = { id: ID, request: Buffer.from('another'), secretProven: true, findings: [] };
      expect(await registry.addDevice({ id: ID, label: 'x', profile: 'y', tier: 'hardware' }, again)).toBe(false);
      expect(await device(registry)).toMatchObject({
        state: 'pending',
        profile: 'edge',
        tier: 'software',
        label: null,
      });
      expect((await registry.enrolment(ID))?.request).toEqual(Buffer.from(`request of ${ID}`));
      expect(await registry.countPending()).toBe(1);
    });

    it('moves only from the states that are named, and its endorsement never changes', async () => {
      const registry = await one();
      await enter(registry, ID, 'pending');
      expect(await registry.setState(ID, ['approved'], 'quarantined')).toBe(false);
      expect(await registry.setState(ID, ['pending'], 'approved', { envelope: 'first', tier: 'pinned' })).toBe(true);
      expect(await registry.setState(ID, ['approved'], 'approved', { envelope: 'second', tier: 'hardware' })).toBe(
        true,
      );
      expect(await device(registry)).toMatchObject({ state: 'approved', endorsement: 'first', tier: 'pinned' });
    });

    it('that was retired may enrol again, with nothing of its past but a higher generation', async () => {
      const registry = await one();
      await enter(registry);
      await registry.accept([acceptanceOf(ID, 0)]);
      const enrolment = { id: ID, request: Buffer.from('new keys'), secretProven: true, findings: [] };
      const row = { id: ID, profile: 'new', tier: 'hardware' } as const;
      expect(await registry.enrolAgain(row, enrolment)).toBe(false);
      await registry.setState(ID, ['approved'], 'retired');
      expect(await registry.enrolAgain(row, enrolment)).toBe(true);
      expect(await device(registry)).toMatchObject({
        state: 'pending',
        endorsement: null,
        verdict: null,
        profile: 'new',
      });
      expect((await device(registry)).row).toEqual({ generation: 2, log: null, clock: 0n, maxResetCount: 0 });
      expect((await registry.enrolment(ID))?.request).toEqual(Buffer.from('new keys'));
    });
  });

  describe(`${name} is a registry: acceptance`, () => {
    it('keeps row, verdict and evidence exactly', async () => {
      const registry = await one();
      await enter(registry);
      const taken = acceptanceOf(ID, 0);
      expect(await registry.accept([taken])).toEqual([true]);
      const { row, verdict, session, slots, lastSeen, online } = await device(registry);
      expect(row.log === null ? null : encodeLogState(row.log)).toEqual(encodeLogState(log));
      expect([row.generation, row.clock, row.maxResetCount]).toEqual([1, 2n ** 60n, 4]);
      expect({ verdict, session, slots, lastSeen, online }).toEqual({
        verdict: taken.verdict,
        session: SESSION,
        slots: taken.slots,
        lastSeen: 1000,
        online: true,
      });
      expect(await registry.evidence(ID)).toEqual({ at: 1000, bytes: Buffer.from('evidence 0') });
    });

    it('happens at most once a generation, whoever comes first and however many controllers there are', async () => {
      const registries = await opened(2);
      const [first, second] = registries;
      if (first === undefined || second === undefined) throw new TypeError('two were opened');
      await enter(first);
      for (let generation = 0; generation < 20; generation++) {
        const tries = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? first : second));
        const won = await Promise.all(tries.map(async (by) => by.accept([acceptanceOf(ID, generation)])));
        expect(won.flat().filter(Boolean)).toHaveLength(1);
      }
      expect((await device(second)).row.generation).toBe(20);
    });

    it('of a batch is decided one by one', async () => {
      const registry = await one();
      await enter(registry);
      await enter(registry, OTHER);
      const batch = [acceptanceOf(ID, 0), acceptanceOf(OTHER, 5), acceptanceOf(ID, 0), acceptanceOf(ID, 1)];
      expect(await registry.accept(batch)).toEqual([true, false, false, true]);
      expect((await device(registry)).row.generation).toBe(2);
      expect((await device(registry, OTHER)).verdict).toBe(null);
    });

    it.each(['pending', 'rejected', 'retired', 'quarantined'] as const)(
      'is not for who is %s by now',
      async (state) => {
        const registry = await one();
        await enter(registry, ID, 'pending');
        await registry.setState(ID, ['pending'], state);
        expect(await registry.accept([acceptanceOf(ID, 0)])).toEqual([false]);
        expect(await registry.accept([acceptanceOf(ID, 0, { state })])).toEqual([state === 'quarantined']);
      },
    );

    it('ends what could not be accepted before', async () => {
      const registry = await one();
      await enter(registry);
      await registry.setTrouble(ID, { at: 5, status: 'contraindicated', findings: [] });
      expect((await device(registry)).trouble).toEqual({ at: 5, status: 'contraindicated', findings: [] });
      await registry.accept([acceptanceOf(ID, 0)]);
      expect((await device(registry)).trouble).toBe(null);
    });

    it('takes a report once, into the history too, however often it is repeated', async () => {
      const registry = await one();
      await enter(registry);
      const reports = [reportOf(1, null)];
      await registry.accept([acceptanceOf(ID, 0, { reports, change: 'warning: new' })]);
      await registry.accept([acceptanceOf(ID, 1, { reports })]);
      expect((await registry.history(ID, 10)).map(({ kind, text }) => [kind, text])).toEqual([
        ['verdict', 'warning: new'],
        ['command', 'done: words'],
      ]);
    });
  });

  describe(`${name} is a registry: a command`, () => {
    const command = (id: string, of = ID) => {
      const body = JSON.stringify({ kind: 'install', slot: 'main', order: 1, release: 'ee'.repeat(32), source: null });
      return { id, device: of, body, createdAt: 1 };
    };

    it('has one number a session, and a fresh one when the session is new or the device has passed it', async () => {
      const registry = await one();
      await enter(registry);
      await registry.addCommand(command('a'), null);
      await registry.addCommand(command('b'), null);
      expect(await registry.takeSeq('a', 's1', 0)).toBe(1);
      expect(await registry.takeSeq('b', 's1', 0)).toBe(2);
      expect(await registry.takeSeq('a', 's1', 0)).toBe(1);
      expect(await registry.takeSeq('a', 's1', 1)).toBe(3);
      expect(await registry.takeSeq('b', 's1', 1)).toBe(2);
      expect(await registry.takeSeq('b', 's2', 0)).toBe(1);
      expect(await registry.takeSeq('a', 's1', 9)).toBe(10);
    });

    it('is ended by a report of its own device, by the first one, and has no number then', async () => {
      const registry = await one();
      await enter(registry);
      await enter(registry, OTHER);
      await registry.addCommand(command('a'), null);
      await registry.accept([acceptanceOf(OTHER, 0, { reports: [reportOf(1, 'a')] })]);
      expect(await registry.devicesWithCommands()).toEqual([ID]);
      await registry.accept([acceptanceOf(ID, 0, { reports: [reportOf(1, 'a', 'refused', 'release-older')] })]);
      await registry.accept([acceptanceOf(ID, 1, { reports: [reportOf(2, 'a')] })]);
      const [ended] = await registry.commands(ID);
      expect(JSON.parse(ended?.outcome ?? '')).toMatchObject({ kind: 'refused', rule: 'release-older' });
      expect([await registry.takeSeq('a', 's1', 0), await registry.devicesWithCommands()]).toEqual([null, []]);
    });

    it('that was done may be rolled back later: then that is how it ended', async () => {
      const registry = await one();
      await enter(registry);
      await registry.addCommand(command('a'), null);
      await registry.accept([acceptanceOf(ID, 0, { reports: [reportOf(1, 'a', 'activated')] })]);
      const back = reportOf(2, 'ee'.repeat(32), 'rolled-back', 'trial-contraindicated');
      await registry.accept([acceptanceOf(ID, 1, { reports: [back] })]);
      expect(JSON.parse((await registry.commands(ID))[0]?.outcome ?? '')).toMatchObject({ kind: 'rolled-back' });
    });

    it('for a slot takes the place of an open one for the same slot, and of no other', async () => {
      const registry = await one();
      await enter(registry);
      await registry.addCommand(command('a'), 'main');
      await registry.addCommand({ ...command('m'), body: '{"kind":"measure","order":1}' }, null);
      await registry.addCommand(command('b'), 'main');
      const open = (await registry.commands(ID)).filter(({ outcome }) => outcome === null);
      expect(open.map(({ id }) => id).toSorted()).toEqual(['b', 'm']);
    });

    it('gets a higher order each time, for each slot of each device by itself', async () => {
      const registry = await one();
      const next = async (id: string, slot: string): Promise<number> => registry.nextOrder(id, slot);
      expect([await next(ID, 'a'), await next(ID, 'a'), await next(ID, 'b'), await next(OTHER, 'a')]).toEqual([
        1, 2, 1, 1,
      ]);
    });
  });

  describe(`${name} is a registry: what comes in parts or is kept for a while`, () => {
    it('gives a log when all of it is there, once', async () => {
      const registry = await one();
      const digest = randomBytes(32);
      await registry.putLogPart(ID, digest, 1, Buffer.from('b'));
      expect(await registry.takeLogParts(ID, digest, 2)).toBe(null);
      await registry.putLogPart(ID, digest, 0, Buffer.from('a'));
      expect(await registry.takeLogParts(OTHER, digest, 2)).toBe(null);
      expect((await registry.takeLogParts(ID, digest, 2))?.toString()).toBe('ab');
      expect(await registry.takeLogParts(ID, digest, 2)).toBe(null);
    });

    it('keeps parts of one log only, and not too many', async () => {
      const registry = await one();
      const [old, digest] = [randomBytes(32), randomBytes(32)];
      await registry.putLogPart(ID, old, 0, Buffer.from('x'));
      for (let i = 0; i < 512; i++) expect(await registry.putLogPart(ID, digest, i, Buffer.from([0]))).toBe(true);
      expect(await registry.putLogPart(ID, digest, 512, Buffer.from([0]))).toBe(false);
      expect(await registry.takeLogParts(ID, old, 1)).toBe(null);
    });

    it('keeps the newest thousand lines of a device’s history', async () => {
      const registry = await one();
      for (let n = 1; n <= 1005; n++) await registry.addHistory({ device: ID, at: n, kind: 'x', text: `${n}` });
      const lines = await registry.history(ID, 2000);
      expect([lines.length, lines[0]?.text, lines.at(-1)?.text]).toEqual([1000, '1005', '6']);
    });
  });
}
