// Measuring the agent itself: every file that it can load counts, whatever lies beside it does not.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { measureComponents } from '../../src/measure/components.ts';
import { packagesOf } from '../../src/measure/packages.ts';
import { sha256, writeFiles } from './slots.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'components-'));
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const INSTALLED = {
  'package.json': '{"dependencies":{"one":"1"},"devDependencies":{"tool":"1"}}',
  'src/main.ts': 'main',
  'native/c.ts': 'native',
  'test/t.ts': 'test',
  'node_modules/one/package.json': '{"dependencies":{"two":"1"},"optionalDependencies":{"absent":"1"}}',
  'node_modules/one/index.js': 'one',
  'node_modules/one/README.md': 'read me',
  'node_modules/one/node_modules/two/package.json': '{}',
  'node_modules/one/node_modules/two/lib/addon.node': 'binary',
  'node_modules/two/package.json': '{"version":"another"}',
  'node_modules/tool/package.json': '{}',
  node: 'the node binary',
  'runtime/lib.so': 'runtime',
};

let count = 0;
let at = '';
beforeEach(() => {
  at = join(root, `${++count}`);
  mkdirSync(at);
  writeFiles(at, INSTALLED);
});

const measure = (runtime: string | null = null) =>
  measureComponents({
    profileDigest: Buffer.alloc(32, 1),
    trustBytes: Buffer.from('trust'),
    runtime,
    pool,
    code: at,
    node: join(at, 'node'),
  });

describe('the components of an agent', () => {
  test('are digests of what they say, the same wherever it is installed', async () => {
    const first = await measure(join(at, 'runtime'));
    expect(first).toMatchObject({
      node: sha256('the node binary'),
      profile: Buffer.alloc(32, 1),
      trust: sha256('trust'),
      gateMode: 'none',
    });
    at = join(root, `${++count}`);
    writeFiles(at, INSTALLED);
    expect(await measure(join(at, 'runtime'))).toEqual(first);
    expect((await measure()).runtime).toBeNull();
    expect((await measure(join(at, 'runtime/lib.so'))).runtime).toEqual(sha256('runtime'));
  });

  for (const [path, counts] of [
    ['src/main.ts', true],
    ['src/added.ts', true],
    ['native/c.ts', true],
    ['package.json', true],
    ['node_modules/one/index.js', true],
    ['node_modules/one/added.js', true],
    ['node_modules/one/node_modules/two/lib/addon.node', true],
    ['node_modules/one/README.md', false],
    ['node_modules/tool/index.js', false],
    ['test/t.ts', false],
  ] as const) {
    test(`${counts ? 'change with' : 'do not change with'} ${path}`, async () => {
      const before = await measure();
      // What Node reads as JSON stays JSON.
      writeFiles(at, { [path]: path === 'package.json' ? `${INSTALLED[path]} ` : 'changed' });
      const after = await measure();
      expect(after.agent.toString()).toBe(counts ? after.agent.toString() : before.agent.toString());
      expect(Buffer.from(after.agent).equals(before.agent)).toBe(!counts);
      expect({ ...after, agent: null }).toEqual({ ...before, agent: null });
    });
  }

  test('change with a link among the code, which is not followed', async () => {
    const before = await measure();
    symlinkSync('/etc/passwd', join(at, 'src', 'link.ts'));
    expect(Buffer.from((await measure()).agent).equals(before.agent)).toBe(false);
  });

  test('include a package as Node finds it, nested before shared; one that is missing is an error', async () => {
    expect((await packagesOf(at)).map(({ name, folder }) => [name, folder.slice(at.length)])).toEqual([
      ['one', '/node_modules/one'],
      ['two', '/node_modules/one/node_modules/two'],
    ]);
    writeFileSync(join(at, 'package.json'), '{"dependencies":{"nowhere-at-all":"1"}}');
    await expect(packagesOf(at)).rejects.toMatchObject({ code: 'CONFIG_MISSING' });
  });

  test('of the running agent are found without being told where', async () => {
    const found = await measureComponents({
      profileDigest: Buffer.alloc(32),
      trustBytes: Buffer.alloc(0),
      runtime: null,
      pool,
    });
    expect(Object.values(found).filter((part) => part instanceof Uint8Array && part.length === 32).length).toBe(4);
  });
});
