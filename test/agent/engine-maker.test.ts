// Compiling an engine: what comes of it is what was written when the compiler ended, and no compiler gets away with anything.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { measureEngine, placeEngine } from '../../src/agent/engine-folder.ts';
import { compileEngine } from '../../src/agent/engine-maker.ts';
import type { CompiledEngine } from '../../src/agent/engine-maker.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Reason } from '../../src/gate/settle.ts';
import { runtimeDigest } from '../../src/measure/components.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';
import { slotProfile } from '../measure/slots.ts';

const root = mkdtempSync(join(tmpdir(), 'engine-'));
const pool = new HashPool();
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});
const ID = 'ab'.repeat(32);
const releases = join(root, 'releases');
const runtime = join(root, 'runtime');
const program = join(runtime, 'compile');
mkdirSync(join(releases, ID, 'model'), { recursive: true });
mkdirSync(runtime);
writeFileSync(join(releases, ID, 'model', 'm'), 'weights');
for (const folder of [root, releases, join(releases, ID), join(releases, ID, 'model')]) chmodSync(folder, 0o755);

beforeEach(() => {
  rmSync(program, { force: true });
});

async function compile(
  script: string,
  slot: Partial<SlotProfile> = {},
  signal = new AbortController().signal,
): Promise<CompiledEngine | Reason> {
  if (script !== '') writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const profile = { ...slotProfile(), engine: { command: [program] }, ...slot };
  return compileEngine(profile, ID, { stateDir: root, runtime, pool, signal, alone: async (work) => work() });
}

/** What of unfinished work lies in the state directory. */
const leftovers = (): string[] => readdirSync(releases).filter((name) => name !== ID);

const made = (result: CompiledEngine | Reason): CompiledEngine => {
  if ('rule' in result) throw new Error(result.detail);
  return result;
};

describe('an engine', () => {
  test('is every file that was written, bound to the runtime that wrote them', async () => {
    const engine = made(
      await compile(
        'cp "$TOUCHSTONE_MODEL/m" "$TOUCHSTONE_ENGINE/plan"; mkdir "$TOUCHSTONE_ENGINE/d"; echo x >"$TOUCHSTONE_ENGINE/d/x"',
      ),
    );
    expect(engine.compiler).toEqual(await runtimeDigest(runtime, pool));
    expect(readFileSync(join(engine.files, 'plan'), 'utf8')).toBe('weights');
    await placeEngine(root, ID, 'main', engine.files);
    expect(await measureEngine(root, ID, 'main', { pool, signal: new AbortController().signal })).toEqual(
      engine.engine,
    );
    rmSync(engine.folder, { recursive: true });
    expect(leftovers()).toEqual([]);
    // Once more, in its place.
    const again = made(await compile('echo other >"$TOUCHSTONE_ENGINE/plan"'));
    await placeEngine(root, ID, 'main', again.files);
    rmSync(again.folder, { recursive: true });
    expect(readFileSync(join(releases, ID, 'engines', 'main', 'plan'), 'utf8')).toBe('other\n');
    expect(existsSync(join(releases, ID, 'engines', 'main', 'd'))).toBe(false);
  });

  test('is a copy: what the compiler left running cannot change it', async () => {
    const script =
      'echo good >"$TOUCHSTONE_ENGINE/plan"; exec 3>>"$TOUCHSTONE_ENGINE/plan"; setsid sh -c "sleep 1; echo evil >&3" </dev/null >/dev/null 2>&1 & exit 0';
    const engine = made(await compile(script));
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
    expect(readFileSync(join(engine.files, 'plan'), 'utf8')).toBe('good\n');
    rmSync(engine.folder, { recursive: true });
  });

  test('of a compiler that says very much is made all the same', async () => {
    const engine = made(await compile('head -c 2000000 /dev/zero; echo x >"$TOUCHSTONE_ENGINE/plan"'));
    expect(readFileSync(join(engine.files, 'plan'), 'utf8')).toBe('x\n');
    rmSync(engine.folder, { recursive: true });
  });

  test.skipIf(process.getuid?.() !== 0)('is written by another user, into that folder alone', async () => {
    const script =
      'id -u >"$TOUCHSTONE_ENGINE/plan"; ls "$TOUCHSTONE_ENGINE/.." >/dev/null 2>&1 && exit 9; touch "$TOUCHSTONE_MODEL/x" 2>/dev/null && exit 8; exit 0';
    chmodSync(runtime, 0o755);
    const engine = made(await compile(script, { healthUser: { uid: 65_534, gid: 65_534 } }));
    expect(readFileSync(join(engine.files, 'plan'), 'utf8')).toBe('65534\n');
    rmSync(engine.folder, { recursive: true });
  });

  test.each([
    ['fails', 'echo "no such operator" >&2; exit 3', 'exit code 3: no such operator'],
    ['writes nothing', 'exit 0', 'wrote no file'],
    ['writes a link', 'ln -s /etc/passwd "$TOUCHSTONE_ENGINE/plan"', 'plan, which is no plain file: symlink'],
    ['writes a pipe', 'mkfifo "$TOUCHSTONE_ENGINE/plan"', 'no plain file'],
    ['removes its folder', 'rm -r "$TOUCHSTONE_ENGINE"', 'no engine could be made'],
  ])('is none when the compiler %s', async (_, script, words) => {
    const result = await compile(script);
    expect(result).toMatchObject({ rule: 'engine-compile', detail: expect.stringContaining(words) as string });
    expect(leftovers()).toEqual([]);
  });

  test('is none of a program that a link leads to, out of what is measured', async () => {
    writeFileSync(join(root, 'elsewhere'), '#!/bin/sh\necho x >"$TOUCHSTONE_ENGINE/plan"\n', { mode: 0o755 });
    symlinkSync(join(root, 'elsewhere'), program);
    expect(await compile('')).toMatchObject({
      rule: 'engine-compile',
      detail: expect.stringContaining('not in the runtime') as string,
    });
  });

  test('is none of a compiler that does not end, or is not there', async () => {
    const result = await compile('sleep 1000', { engine: { command: [program], seconds: 1 } });
    expect(result).toMatchObject({ detail: expect.stringContaining('out of time') as string });
    rmSync(program);
    expect(await compile('')).toMatchObject({ detail: expect.stringContaining('cannot be found') as string });
    expect(leftovers()).toEqual([]);
  });

  test('that is wanted no more is not waited for, and leaves nothing', async () => {
    const stop = new AbortController();
    const result = compile('sleep 1000', {}, stop.signal);
    setTimeout(() => {
      stop.abort(new Error('unwanted'));
    }, 200);
    await expect(result).rejects.toThrow('unwanted');
    expect(leftovers()).toEqual([]);
  });
});
