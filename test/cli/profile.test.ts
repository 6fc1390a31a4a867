// `touchstone profile check`: valid or not, every fault on its line, and what risky choices cost.
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { measureConfigs } from '../../src/measure/config-measurer.ts';
import { quickly, quicklyJson, Scratch, touchstone } from '../support/binary.ts';

const SHIPPED = new URL('../../firmware-profiles/generic-linux.json', import.meta.url).pathname;

let scratch: Scratch;

beforeEach(async () => {
  scratch = await Scratch.make();
});

afterEach(async () => scratch[Symbol.asyncDispose]());

async function check(text: string): Promise<{ code: number | null; document: unknown }> {
  await scratch.write({ 'p.json': text });
  return quicklyJson(['profile', 'check', scratch.path('p.json')]);
}

describe('touchstone profile check', () => {
  test('says of a valid profile what devices will do', async () => {
    const { code, stdout } = await touchstone(['profile', 'check', SHIPPED]);
    expect(code).toBe(0);
    for (const words of ['valid', 'events go to PCR 13', 'slot main: main-model', 'Know the price of:']) {
      expect(stdout).toContain(words);
    }
  });

  test('names the line of each fault', async () => {
    const text = (await readFile(SHIPPED, 'utf8'))
      .replace('"eventPcr": 13', '"eventPcr": 23')
      .replace('"stop"', '"pray"');
    const { code, document } = await check(text);
    const lines = text.split('\n');
    const lineOf = (word: string): number => lines.findIndex((line) => line.includes(word)) + 1;
    expect(code).toBe(1);
    expect(document).toMatchObject({
      valid: false,
      faults: [
        { field: 'tpm.eventPcr', line: lineOf('eventPcr') },
        { field: 'slots.0.onFailure', line: lineOf('pray') },
      ],
      warnings: [],
    });
    const { stdout } = await touchstone(['profile', 'check', 'p.json'], { cwd: scratch.dir });
    expect(stdout).toContain(`p.json:${lineOf('eventPcr')}: tpm.eventPcr: PCR 16 to 23`);
  });

  test('refuses a profile in which a name occurs twice, because two readers would differ on it', async () => {
    const text = (await readFile(SHIPPED, 'utf8')).replace('"v": 1,', '"v": 1,\n  "v": 1,');
    expect(await check(text)).toMatchObject({ code: 1, document: { faults: [{ line: 3 }] } });
  });

  test('judges what is no JSON on its line, and fails for what is no file', async () => {
    expect(await check('{\n\n  "v": 1,\n  x\n}')).toMatchObject({
      code: 1,
      document: { faults: [{ field: '', line: 4 }] },
    });
    expect((await quickly(['profile', 'check', scratch.path('nowhere.json')])).code).toBe(3);
    expect((await quickly(['profile', 'check', scratch.dir])).code).toBe(3);
  });
});

describe('touchstone profile config', () => {
  interface Configs {
    readonly configs: { readonly path: string; readonly sha256: string; readonly files: number }[];
  }

  async function config(...args: string[]): Promise<Configs['configs']> {
    const called = await quicklyJson(['profile', 'config', ...args]);
    expect(called.code).toBe(0);
    return (called.document as Configs).configs;
  }

  beforeEach(async () => {
    await scratch.write({ 'image/etc/d/a.json': '1', 'image/etc/d/b.json': '2', 'image/etc/d/notes.txt': 'x' });
  });

  test('measures files, folders and patterns as a device does, in an image or in place', async () => {
    const paths = ['/etc/d/a.json', '/etc/d', '/etc/d/*.json'];
    const inImage = await config(...paths, '--root', scratch.path('image'));
    expect(inImage.map(({ path, files }) => [path, files])).toEqual([
      ['/etc/d/a.json', 1],
      ['/etc/d', 3],
      ['/etc/d/*.json', 2],
    ]);
    const inPlace = await config(...paths.map((path) => scratch.path('image', path)));
    expect(inPlace.map(({ sha256 }) => sha256)).toEqual(inImage.map(({ sha256 }) => sha256));
    await using pool = new HashPool();
    const asked = inPlace.map(({ path, sha256 }) => ({ path, sha256 }));
    expect((await measureConfigs(asked, { pool })).differing).toEqual([]);
  });

  test('gives entries that the check takes', async () => {
    const { stdout } = await touchstone(['profile', 'config', '/etc/d/*.json', '--root', scratch.path('image')]);
    const entry: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    const profile = JSON.parse(await readFile(SHIPPED, 'utf8')) as { slots: { configs: unknown[] }[] };
    profile.slots[0]?.configs.push(entry);
    expect((await check(JSON.stringify(profile))).code).toBe(0);
  });

  test('changes with every byte and name', async () => {
    const [before] = await config('/etc/d', '--root', scratch.path('image'));
    await scratch.write({ 'image/etc/d/c.json': '' });
    const [after] = await config('/etc/d', '--root', scratch.path('image'));
    expect(after?.sha256).not.toBe(before?.sha256);
  });

  test.each([
    [2, 'etc/d'],
    [2, '/etc/../etc/d'],
    [3, '/etc/nothing'],
    [3, '/etc/d/*.xml'],
  ])('ends with %d for %s', async (code, path) => {
    expect((await quickly(['profile', 'config', path, '--root', scratch.path('image')])).code).toBe(code);
  });
});
