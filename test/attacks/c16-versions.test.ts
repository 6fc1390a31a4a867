// C16, another version: what the version before wrote is read, what the next one wrote is refused or passed over, and no fleet stands still.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { REGISTRY_APPLICATION_ID, REGISTRY_MIGRATIONS } from '../../src/controller/registry-schema.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { generateKey, keyId } from '../../src/crypto/ecdsa.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import { decodeEnrolRequest, decodeEvidence, decodeStatusHint } from '../../src/protocol/codec.ts';
import { openStatement, payloadType } from '../../src/protocol/statement.ts';
import { JOURNAL_APPLICATION_ID, JOURNAL_MIGRATIONS } from '../../src/store/journal-schema.ts';
import { SqliteJournal } from '../../src/store/sqlite-journal.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { build } from '../verifier/evidence-builder.ts';
import { cborVector } from '../vectors/vectors.ts';

const root = mkdtempSync(join(tmpdir(), 'versions-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});
let count = 0;
const fresh = (): string => join(root, `${++count}.sqlite`);

describe('the registry', () => {
  const steps = REGISTRY_MIGRATIONS.map((_, i) => i + 1);
  /** The schema from which on what is judged of a device has a row of its own. */
  const JUDGED_APART = 4;

  test.each(steps)(
    'that stopped at schema %i has its devices, their verdicts and their counts after the update',
    async (step) => {
      const path = fresh();
      const migrations = REGISTRY_MIGRATIONS.slice(0, step);
      const old = openSqlite({ path, applicationId: REGISTRY_APPLICATION_ID, migrations, shared: true });
      const verdict = { status: 'affirming', assurance: 'A1', findings: [], at: 5 };
      const who = `'one', 'approved', 'dock 7', 'edge', 'hardware', '{}'`;
      const what = `41, '9007199254740993', 3, '${JSON.stringify(verdict)}', '{}'`;
      const [left, right] = [
        'id, state, label, profile, tier, endorsement',
        'generation, clock, max_reset, verdict, envelope',
      ];
      if (step < JUDGED_APART) old.exec(`INSERT INTO device (${left}, ${right}) VALUES (${who}, ${what})`);
      else {
        old.exec(`INSERT INTO device (${left}) VALUES (${who})`);
        old.exec(`INSERT INTO judged (device, ${right}) VALUES ('one', ${what})`);
      }
      old.prepare("INSERT INTO slot_order (device, slot, last) VALUES ('one', 'main', 7)").run();
      old.close();
      await using registry = openSqliteRegistry(path);
      expect(await registry.device('one')).toMatchObject({
        state: 'approved',
        label: 'dock 7',
        row: { generation: 41, clock: 9007199254740993n, maxResetCount: 3, log: null },
        verdict,
        trouble: null,
      });
      expect(await registry.nextOrder('one', 'main')).toBe(8);
    },
  );

  test('of a later version is refused by name, and not one byte of it is changed', () => {
    const path = fresh();
    openSqlite({
      path,
      applicationId: REGISTRY_APPLICATION_ID,
      migrations: [...REGISTRY_MIGRATIONS, 'CREATE TABLE later (x INTEGER) STRICT;'],
      shared: true,
    }).close();
    const before = readFileSync(path);
    expect(() => openSqliteRegistry(path)).toThrow(expect.objectContaining({ code: 'STORE_NEWER' }));
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

describe('the journal', () => {
  test.each(JOURNAL_MIGRATIONS.map((_, i) => i + 1))('that stopped at schema %i opens, and goes on', (step) => {
    const path = fresh();
    openSqlite({ path, applicationId: JOURNAL_APPLICATION_ID, migrations: JOURNAL_MIGRATIONS.slice(0, step) }).close();
    const journal = new SqliteJournal(path);
    journal.newLog({ epoch: { resetCount: 1, restartCount: 0 }, clock: 1n, why: 'first' });
    expect(journal.head()).toMatchObject({ seq: 0, intent: null });
    expect(journal.slots()).toEqual([]);
    journal.close();
  });
});

/** A message as its golden vector has it, with more in it. */
function withMore(name: string, more: Readonly<Record<string, CborValue>>): Buffer {
  return encodeCbor({ ...(cborVector(name).value as Record<string, CborValue>), ...more });
}

const DECODERS = [
  ['evidence', decodeEvidence],
  ['enrol-request', decodeEnrolRequest],
  ['status-hint', decodeStatusHint],
] as const;

describe.each(DECODERS)('a message of the next version, %s', (name, decode) => {
  test('with a field that is new is read as if it were not there', () => {
    const plain: unknown = decode(withMore(name, {}));
    expect(decode(withMore(name, { novelty: [1, 'two'] }))).toEqual(plain);
  });

  test('with a field that must be understood is refused', () => {
    expect(() => decode(withMore(name, { novelty: 1, crit: ['novelty'] }))).toThrow('novelty');
  });

  test.each([0, 2, 1n << 40n])('of version %s is refused', (v) => {
    expect(() => decode(withMore(name, { v }))).toThrow(/v/);
  });
});

describe('a statement of the next version', () => {
  const { privateKey } = generateKey('p256');
  const keys = new Map([[keyId(privateKey), privateKey]]);
  const value = (
    JSON.parse(readFileSync(new URL('../vectors/result.json', import.meta.url), 'utf8')) as { value: object }
  ).value;
  const opened = (more: object): unknown => {
    const bytes = Buffer.from(JSON.stringify({ ...value, ...more }));
    return openStatement(
      'result',
      Buffer.from(JSON.stringify(signDsse(payloadType('result'), bytes, [privateKey]))),
      keys,
    );
  };

  test('is read with what is new passed over, and not at all where that must be understood', () => {
    const plain = opened({});
    expect(plain).not.toBeNull();
    expect(opened({ novelty: 1 })).toEqual(plain);
    expect(opened({ novelty: 1, crit: ['novelty'] })).toBeNull();
    expect(opened({ v: 2 })).toBeNull();
  });
});

test('claims of an agent that says more are judged by what is known of them', () => {
  const more = { novelty: true } as unknown as object;
  const genuine = appraise(build());
  const newer = appraise(build({ claims: (claims) => ({ ...claims, ...more }) }));
  expect(newer).toMatchObject({ accepted: true, status: genuine.status, findings: genuine.findings });
});
