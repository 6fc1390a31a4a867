// A verified release comes only from the comparison of every byte; files that move under it are named as such.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FileFault } from '../../src/files/fault.ts';
import type { FaultKind } from '../../src/files/fault.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { shown } from '../../src/release/judgement.ts';
import { orFault } from '../../src/release/judgement.ts';
import { inLanes } from '../../src/release/lanes.ts';
import { openRelease } from '../../src/release/open.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import { readBounded, readSignedFiles } from '../../src/release/release-folder.ts';
import { VerifiedRelease, verifyModelFolder } from '../../src/release/verified.ts';
import { findingsText } from '../../src/agent/model-gate.ts';
import { FILES, makeRelease, rootStatement } from './publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'verified-'));
const made = await makeRelease(join(root, 'r'), pool);
const model = join(made.folder, 'model');
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

async function signed(): Promise<SignedRelease> {
  const { publishers, revoked } = rootStatement;
  const opened = openRelease({
    ...(await readSignedFiles(made.folder)),
    publishers,
    revoked,
    releaseThresholds: undefined,
  });
  if (!opened.ok) throw new Error('a good release');
  return opened.release;
}

describe('VerifiedRelease', () => {
  test('holds what was compared, with every file', async () => {
    let bytes = 0;
    const signal = new AbortController().signal;
    const found = await verifyModelFolder(model, await signed(), pool, {
      signal,
      onProgress: (more) => (bytes += more),
    });
    expect(found).toMatchObject({ ok: true, release: { folder: model, signed: { id: made.id } } });
    expect(VerifiedRelease.is(found.ok && found.release)).toBe(true);
    expect(found.ok && found.release.entries.map((entry) => entry.path).toSorted()).toEqual(
      Object.keys(FILES).toSorted(),
    );
    expect(bytes).toBe(Object.values(FILES).join('').length);
  });

  test('cannot be made by hand, nor looked like', async () => {
    const release = await signed();
    expect(() => new VerifiedRelease(Symbol('verified'), release, model, [])).toThrow(TypeError);
    for (const value of [
      null,
      {},
      { signed: release, folder: model, entries: [] },
      Object.create(VerifiedRelease.prototype),
    ]) {
      expect(VerifiedRelease.is(value)).toBe(false);
    }
  });

  test('has its findings about the release, where no slot is named', async () => {
    writeFileSync(join(model, 'more'), 'x');
    const found = await verifyModelFolder(model, await signed(), pool);
    rmSync(join(model, 'more'));
    expect(found).toMatchObject({ ok: false, findings: [{ rule: 'release-file-surplus', subject: 'release' }] });
  });

  test('is not made where the folder cannot be listed', async () => {
    const gone = verifyModelFolder(join(root, 'nowhere'), await signed(), pool);
    await expect(gone).rejects.toMatchObject({ code: 'RELEASE_INVALID' });
  });
});

/** A pool for which one file has become something else. */
class Moving extends HashPool {
  readonly kind: FaultKind;
  constructor(kind: FaultKind) {
    super();
    this.kind = kind;
  }
  override async digestFile(path: string): Promise<never> {
    throw new FileFault(this.kind, path);
  }
}

test.each([
  ['changed', 'release-file-changed'],
  ['missing', 'release-file-missing'],
  ['bad-name', 'release-path'],
  ['symlink', 'release-file-kind'],
  ['unreadable', 'release-file-kind'],
] as const)('a file found %s while it is read is a finding: %s', async (kind, rule) => {
  await using moving = new Moving(kind);
  const found = await verifyModelFolder(model, await signed(), moving);
  expect(!found.ok && [...new Set(found.findings.map((one) => one.rule))]).toEqual([rule]);
});

test('more faults than a person reads are counted', async () => {
  for (let at = 0; at < 100; at++) writeFileSync(join(model, `more-${at}`), '');
  const found = await verifyModelFolder(model, await signed(), pool);
  for (let at = 0; at < 100; at++) rmSync(join(model, `more-${at}`));
  expect(!found.ok && found.findings).toHaveLength(65);
  expect(!found.ok && found.findings.at(-1)?.found).toBe('36 more faults');
});

test('a refusal with many findings fits into a report, and says how many are left out', () => {
  const finding = (text: string) =>
    ({
      rule: 'release-path',
      status: 'contraindicated',
      subject: 'main',
      expected: 'x',
      found: text,
      source: 'fleet',
    }) as const;
  expect(findingsText([finding('a'), finding('b')])).toBe(
    'release-path: expected x, found a; release-path: expected x, found b',
  );
  const many = findingsText(Array.from({ length: 64 }, () => finding('y'.repeat(200))));
  expect(many.length).toBeLessThanOrEqual(2000);
  expect(many).toMatch(/; and 56 more$/);
  const cut = findingsText([finding('😀'.repeat(2000))]);
  expect(cut.isWellFormed()).toBe(true);
  expect(cut).toHaveLength(2000);
});

test('text of others is cut where it is longer than a finding', () => {
  expect(shown('x'.repeat(200))).toHaveLength(200);
  expect(shown('x'.repeat(201))).toBe(`${'x'.repeat(199)}…`);
});

test('only what is malformed is a fault; a bug goes on', () => {
  const bug = (): never => {
    throw new RangeError('bug');
  };
  expect(() => orFault('release-malformed', 'thing', bug)).toThrow(RangeError);
});

test('work in lanes keeps the order of its results, and its first error', async () => {
  const items = Array.from({ length: 1000 }, (_, at) => at);
  expect(await inLanes(items, async (at) => at * 2)).toEqual(items.map((at) => at * 2));
  expect(await inLanes([], async () => 1)).toEqual([]);
  const failing = inLanes(items, async (at) => {
    if (at === 500) throw new Error('five hundred');
  });
  await expect(failing).rejects.toThrow('five hundred');
});

describe('a bounded file', () => {
  test('is read whole, up to its greatest length', async () => {
    const path = join(root, 'f');
    writeFileSync(path, 'abc');
    expect((await readBounded(path, 3))?.toString()).toBe('abc');
    await expect(readBounded(path, 2)).rejects.toMatchObject({ code: 'RELEASE_INVALID' });
    writeFileSync(path, '');
    expect(await readBounded(path, 3)).toHaveLength(0);
    chmodSync(path, 0o644);
  });

  test('is null where there is none, also below what is no folder', async () => {
    expect(await readBounded(join(root, 'none'), 3)).toBeNull();
    expect(await readBounded(join(made.folder, 'model.sig', 'x'), 3)).toBeNull();
  });
});
