// `touchstone profile check`: valid or not, every fault on its line, and what risky choices cost.
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
    for (const words of ['valid', 'events go to PCR 14', 'slot main: main-model', 'Know the price of:']) {
      expect(stdout).toContain(words);
    }
  });

  test('names the line of each fault', async () => {
    const text = (await readFile(SHIPPED, 'utf8'))
      .replace('"eventPcr": 14', '"eventPcr": 23')
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
