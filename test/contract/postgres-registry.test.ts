// The registry in PostgreSQL: the suite, on a real server, and what several controllers, devices and servers can do to it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresRegistry } from '../../src/controller/postgres-registry.ts';
import type { Acceptance, Registry } from '../../src/controller/registry.ts';
import { PostgresServer } from '../support/postgres.ts';
import { acceptanceOf, enter, ID, registryContract } from './registry.ts';
import { registryLifeContract } from './registry-life.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start();
});
afterAll(async () => server[Symbol.asyncDispose]());

async function fresh(): Promise<() => Promise<Registry>> {
  const url = server.database();
  return Promise.resolve(async () => openPostgresRegistry(url));
}

registryContract('PostgreSQL', fresh);
registryLifeContract('PostgreSQL', fresh);

const failure = (code: string): unknown => expect.objectContaining({ code });

describe('the schema', () => {
  it('is made once by many controllers that start at once', async () => {
    const url = server.database();
    const all = await Promise.all(Array.from({ length: 6 }, async () => openPostgresRegistry(url)));
    await enter(all[0] as Registry);
    for (const registry of all) expect(await registry.countPending()).toBe(0);
    expect(server.ask(url, 'SELECT count(*) FROM touchstone.migration')).toBe('1');
    for (const registry of all) await registry[Symbol.asyncDispose]();
  });

  it('of a newer version is not touched, nor a schema of another program', async () => {
    const url = server.database();
    await (await openPostgresRegistry(url))[Symbol.asyncDispose]();
    server.ask(url, 'INSERT INTO touchstone.migration VALUES (99, now())');
    await expect(openPostgresRegistry(url)).rejects.toEqual(failure('STORE_NEWER'));
    const other = server.database();
    server.ask(other, 'CREATE SCHEMA touchstone CREATE TABLE device (id text)');
    await expect(openPostgresRegistry(other)).rejects.toEqual(failure('STORE_CORRUPT'));
    expect(server.ask(other, `SELECT count(*) FROM pg_tables WHERE schemaname = 'touchstone'`)).toBe('1');
  });

  it('may be one that was made for a user who can make none', async () => {
    const url = server.database();
    server.ask(
      url,
      `CREATE ROLE plain LOGIN; CREATE SCHEMA touchstone AUTHORIZATION plain;
      REVOKE CREATE ON DATABASE ${new URL(url).pathname.slice(1)} FROM PUBLIC`,
    );
    await using registry = await openPostgresRegistry(url.replace('user=touchstone', 'user=plain'));
    await enter(registry);
    expect(await registry.accept([acceptanceOf(ID, 0)])).toEqual([true]);
  });

  it('cannot be looked through another one that somebody put in front of it', async () => {
    const url = server.database();
    await using registry = await openPostgresRegistry(url);
    await enter(registry);
    server.ask(
      url,
      `CREATE TABLE public.device AS SELECT * FROM touchstone.device; UPDATE public.device SET generation = 7;
       ALTER ROLE touchstone SET search_path = public, touchstone`,
    );
    await using again = await openPostgresRegistry(url);
    expect((await again.device(ID))?.row.generation).toBe(0);
    server.ask(url, 'ALTER ROLE touchstone RESET search_path');
  });
});

describe('what a device or a person says', () => {
  it('is kept whatever characters it has: nobody stops a controller by one that the database cannot hold', async () => {
    await using registry = await (await fresh())();
    await enter(registry);
    const evil = 'a\0b \ud800 \u202e 😀 \\ \' " {,} NULL \u0000';
    const wish = { kind: 'install', slot: 'main', order: 1, release: 'ee', source: evil };
    await registry.addCommand({ id: 'c', device: ID, body: JSON.stringify(wish), createdAt: 1 }, 'main');
    await registry.addCommand({ id: 'd', device: ID, body: JSON.stringify(wish), createdAt: 2 }, 'main');
    const report = {
      session: 's',
      n: 1,
      kind: 'rolled-back',
      slot: 'main',
      subject: 'ee',
      body: JSON.stringify({ evil }),
      text: evil,
    };
    const finding = {
      rule: 'model-bytes',
      status: 'warning',
      subject: evil,
      expected: evil,
      found: evil,
      source: 'fleet',
    };
    const taken = acceptanceOf(ID, 0, {
      reports: [report],
      change: evil,
      slots: [{ slot: 'main', release: null, version: evil, state: evil, status: 'affirming' }],
    });
    const verdict = { ...taken.verdict, findings: [finding] } as Acceptance['verdict'];
    expect(await registry.accept([{ ...taken, verdict }])).toEqual([true]);
    const device = await registry.device(ID);
    expect(device?.verdict?.findings[0]?.found).toBe(evil);
    expect(device?.slots[0]?.version).toBe(evil);
    const texts = (await registry.history(ID, 5)).map(({ text }) => text);
    expect(texts).toHaveLength(2);
    for (const text of texts) expect(text).toContain('a\ufffdb');
    expect((await registry.commands(ID)).map(({ outcome }) => JSON.parse(outcome ?? '') as unknown)).toEqual([
      { evil },
      { evil },
    ]);
    await registry.setLabel(ID, evil);
    await registry.addHistory({ device: ID, at: 1, kind: 'x', text: evil });
    await registry.setTrouble(ID, { at: 1, status: 'none', findings: verdict.findings });
    expect(await registry.device(evil)).toBe(null);
    expect((await registry.device(ID))?.label).toContain('a\ufffdb');
  });
});

describe('two controllers', () => {
  it('that accept for the same devices in opposite orders wait for each other, and each evidence counts once', async () => {
    const open = await fresh();
    await using one = await open();
    await using two = await open();
    const ids = Array.from({ length: 60 }, (_, i) => `device${String(i).padStart(3, '0')}`);
    for (const id of ids) await enter(one, id);
    for (let generation = 0; generation < 15; generation++) {
      const batch = ids.map((id) => acceptanceOf(id, generation));
      const [first, second] = await Promise.all([one.accept(batch), two.accept(batch.toReversed())]);
      expect(first.map((won, i) => Number(won) + Number(second.toReversed()[i]))).toEqual(ids.map(() => 1));
    }
  });

  it('give no command number twice', async () => {
    const open = await fresh();
    await using one = await open();
    await using two = await open();
    await enter(one);
    const ids = Array.from({ length: 40 }, (_, i) => `c${i}`);
    for (const id of ids) await one.addCommand({ id, device: ID, body: '{"kind":"measure"}', createdAt: 1 }, null);
    const numbers = await Promise.all(ids.map(async (id, i) => (i % 2 === 0 ? one : two).takeSeq(id, 'session', 0)));
    expect(new Set(numbers).size).toBe(ids.length);
  });

  it('do not accept what was judged before an operator decided, however close the two come', async () => {
    const open = await fresh();
    await using one = await open();
    await using two = await open();
    await enter(one);
    for (let generation = 0, tries = 0; tries < 30; tries++) {
      const [accepted, aside] = await Promise.all([
        one.accept([acceptanceOf(ID, generation)]),
        two.setState(ID, ['approved'], 'quarantined'),
      ]);
      expect(aside).toBe(true);
      if (accepted[0] === true) generation += 1;
      expect(await one.accept([acceptanceOf(ID, generation)])).toEqual([false]);
      await two.setState(ID, ['quarantined'], 'approved');
    }
  });
});
