// The examples of touchstone/testing are run as they stand, only with our sources in the place of the package.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT } from '../house/modules.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
const temporary = await mkdtemp(join(folder, 'tmp-'));
afterAll(async () => rm(folder, { recursive: true }));

const examples = join(ROOT, 'firmware-profiles/examples');
const names = (await readdir(examples)).filter((name) => name.endsWith('.test.mjs'));

describe('the examples of touchstone/testing', () => {
  test.each(names)('%s runs, and leaves nothing behind', { timeout: 180_000 }, async (name) => {
    const text = await readFile(join(examples, name), 'utf8');
    const source = pathToFileURL(join(ROOT, 'src/testing.ts')).href;
    expect(text).toContain("from 'touchstone/testing'");
    await writeFile(join(folder, name), text.replace("from 'touchstone/testing'", `from '${source}'`));
    // Without what vitest tells its own children: it is a run of its own.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = spawnSync(process.execPath, ['--test', join(folder, name)], {
      encoding: 'utf8',
      env: { ...env, TMPDIR: temporary },
    });
    expect(run.status, `${run.stdout}${run.stderr}`).toBe(0);
    expect(run.stdout).toMatch(/pass [1-9]/);
    expect(run.stdout).toMatch(/fail 0/);
    expect(await readdir(temporary)).toEqual([]);
  });
});
