// A registry of before what is judged had a table of its own is read as what it was.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { REGISTRY_APPLICATION_ID, REGISTRY_MIGRATIONS } from '../../src/controller/registry-schema.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { acceptanceOf, ID, OTHER } from '../contract/registry.ts';

const root = mkdtempSync(join(tmpdir(), 'registry-migration-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

test('nothing of a device is lost, and it goes on from where it was', async () => {
  const path = join(root, 'registry.sqlite');
  const migrations = REGISTRY_MIGRATIONS.slice(0, 3);
  const old = openSqlite({ path, applicationId: REGISTRY_APPLICATION_ID, migrations, shared: true });
  old.exec(`
    INSERT INTO device (id, state, label, profile, tier, endorsement, generation, clock, max_reset, verdict, envelope, last_seen, online,
      session, last_seq, slots)
    VALUES ('${ID}', 'approved', 'front', 'edge', 'software', 'signed', 7, '12', 3,
      '{"status":"warning","assurance":"A0","findings":[],"at":50}', '{"n":6}', 60, 1, 'aa', 2, '[]');
    INSERT INTO evidence VALUES ('${ID}', 50, x'0102');
    INSERT INTO device (id, state, label, profile, tier) VALUES ('${OTHER}', 'pending', NULL, 'edge', 'software');
  `);
  old.close();
  await using registry = openSqliteRegistry(path);
  expect(await registry.device(ID)).toEqual({
    id: ID,
    state: 'approved',
    label: 'front',
    profile: 'edge',
    tier: 'software',
    endorsement: 'signed',
    row: { generation: 7, log: null, clock: 12n, maxResetCount: 3 },
    verdict: { status: 'warning', assurance: 'A0', findings: [], at: 50, envelope: '{"n":6}' },
    lastSeen: 60,
    online: true,
    session: 'aa',
    lastSeq: 2,
    slots: [],
    trouble: null,
  });
  expect(await registry.evidence(ID)).toEqual({ at: 50, bytes: Buffer.from([1, 2]) });
  expect(await registry.device(OTHER)).toMatchObject({ state: 'pending', verdict: null, lastSeen: null });
  expect(await registry.evidence(OTHER)).toBe(null);
  expect(await registry.standing()).toEqual({ life: null, accepted: 7, newest: 50 });
  expect(await registry.accept([acceptanceOf(ID, 7)])).toEqual([true]);
});
