// Signatures of the reference tool (OpenSSF Model Signing v1.0): accepted as they are, and not with any byte changed.
import { createPublicKey } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { verifyModel } from '../../src/release/model-verifier.ts';
import { readBundle } from '../../src/release/oms-bundle.ts';
import { readStatement } from '../../src/release/oms-statement.ts';
import { openRelease } from '../../src/release/open.ts';
import { named } from './publisher.ts';
import { ROOT } from '../house/modules.ts';

const data = join(ROOT, '../shared/data/oms');
const there = existsSync(data);
const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'oms-'));
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const bytesOf = (...path: string[]): Buffer => readFileSync(join(data, ...path));

/** A copy of a fixture that may be written to. */
function copyOf(name: string): string {
  const copy = mkdtempSync(join(root, 'model-'));
  chmodSync(copy, 0o755);
  for (const file of readdirSync(join(data, name))) {
    cpSync(join(data, name, file), join(copy, file));
    chmodSync(join(copy, file), 0o644);
  }
  return copy;
}

async function rulesOf(model: string, signature = readFileSync(join(model, 'model.sig'))): Promise<string[]> {
  const key = createPublicKey(bytesOf('keys', 'signing-key-pub.pem'));
  const judged = await verifyModel({
    model,
    signature,
    signaturePath: 'model.sig',
    trust: { method: 'key', key },
    surplusAllowed: false,
    pool,
  });
  return [...new Set(judged.findings.map((one) => one.rule))];
}

describe.skipIf(!there)('the fixture v1.1.0-elliptic-key of ../shared/data', () => {
  test('verifies (../shared/data)', async () => {
    expect(await rulesOf(copyOf('v1.1.0-elliptic-key'))).toEqual([]);
  });

  test('fails with any byte of any signed file changed (../shared/data)', async () => {
    const model = copyOf('v1.1.0-elliptic-key');
    for (const file of ['signme-1', 'signme-2']) {
      const good = readFileSync(join(model, file));
      for (const at of good.keys()) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ 1;
        writeFileSync(join(model, file), bad);
        expect(await rulesOf(model), `${file} byte ${at}`).toEqual(['release-file-changed']);
      }
      writeFileSync(join(model, file), good);
    }
  });

  test('fails with any byte of model.sig changed (../shared/data)', async () => {
    const model = copyOf('v1.1.0-elliptic-key');
    const good = readFileSync(join(model, 'model.sig'));
    const passed: number[] = [];
    for (const at of good.keys()) {
      const bad = Buffer.from(good);
      // Another bit in each, so that letters become digits, other letters, signs and bytes that are no text.
      bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
      if ((await rulesOf(model, bad)).length === 0) passed.push(at);
    }
    expect(passed).toEqual([]);
  });

  test('fails with a file added or taken away, but not for what its signer left out (../shared/data)', async () => {
    const model = copyOf('v1.1.0-elliptic-key');
    writeFileSync(join(model, 'ignore-me'), 'anything');
    expect(await rulesOf(model)).toEqual([]);
    writeFileSync(join(model, 'signme-3'), '');
    expect(await rulesOf(model)).toEqual(['release-file-surplus']);
    rmSync(join(model, 'signme-3'));
    rmSync(join(model, 'signme-1'));
    expect(await rulesOf(model)).toEqual(['release-file-missing']);
  });
});

describe.skipIf(!there)('as the signature of a release (../shared/data)', () => {
  test.each([
    ['v1.1.0-certificate', 'certificate'],
    ['v1.1.0-sigstore', 'sigstore'],
  ])('%s is refused for its method (../shared/data)', (name, method) => {
    const key = createPublicKey(bytesOf('keys', 'signing-key-pub.pem'));
    const sig = bytesOf(name, 'model.sig');
    const publishers = [{ ...named(key), modelIds: ['m'] }];
    const opened = openRelease({ sig, passport: null, publishers, revoked: [], releaseThresholds: undefined });
    const findings = opened.ok ? [] : opened.findings;
    expect(findings.map((one) => one.rule)).toEqual(['release-unsigned', 'release-signing-method']);
    expect(findings[1]?.found).toBe(method);
  });

  test.each(['v1.1.0-certificate', 'v1.1.0-elliptic-key', 'v1.1.0-sigstore'])(
    '%s has a statement that agrees with itself (../shared/data)',
    (name) => {
      const read = readBundle(bytesOf(name, 'model.sig'));
      if ('faults' in read) throw new Error(read.faults.map((fault) => fault.found).join());
      const said = readStatement(read.bundle.payload);
      expect('statement' in said && said.statement.files.map((file) => file.path)).toEqual(['signme-1', 'signme-2']);
    },
  );
});
