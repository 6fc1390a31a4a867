// A one-time token at two controllers at the same moment, each a process of its own: it lets in one device, and ends neither.
import { execFile } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { adoptTokenFile, tokenDigest, Tokens } from '../../src/controller/tokens.ts';
import { Scratch } from '../support/binary.ts';

const run = promisify(execFile);
const SRC = new URL('../../src/controller/', import.meta.url).href;
const COUNT = 200;

/** Takes each token as soon as the file with them is there: both processes begin together. */
const TAKER = `
import { existsSync, readFileSync } from 'node:fs';
const { openSqliteRegistry } = await import('${SRC}sqlite-registry.ts');
const { Tokens } = await import('${SRC}tokens.ts');
const [registry, file] = process.argv.slice(1);
const tokens = new Tokens(openSqliteRegistry(registry));
console.log('ready');
while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 1));
let taken = 0;
for (const token of JSON.parse(readFileSync(file, 'utf8'))) if ((await tokens.take(token, 1)) !== null) taken += 1;
console.log(taken);
`;

test('each counts once', async () => {
  await using scratch = await Scratch.make();
  const path = scratch.path('registry.sqlite');
  await using registry = openSqliteRegistry(path);
  const tokens = new Tokens(registry);
  const issued = await Promise.all(Array.from({ length: COUNT }, async () => tokens.issue('line', 1000)));
  const file = scratch.path('given.json');
  const takers = [0, 1].map(() => run(process.execPath, ['--input-type=module', '-e', TAKER, path, file]));
  await Promise.all(
    takers.map(async ({ child }) => new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()))),
  );
  writeFileSync(scratch.path('whole.json'), JSON.stringify(issued));
  renameSync(scratch.path('whole.json'), file);
  const counts = (await Promise.all(takers)).map(({ stdout }) => Number(stdout.split('\n')[1]));
  expect(counts.reduce((sum, n) => sum + n, 0)).toBe(COUNT);
  expect(await tokens.take(issued[0] ?? '', 1)).toBe(null);
});

test('the file of an older controller is brought in once, whoever looks, and lets nobody in where it is damaged', async () => {
  await using scratch = await Scratch.make();
  await using registry = openSqliteRegistry(scratch.path('registry.sqlite'));
  const tokens = new Tokens(registry);
  const lines: string[] = [];
  const log = { write: (_level: string, _event: string, message: string) => void lines.push(message) };
  const file = scratch.path('tokens.json');
  writeFileSync(file, JSON.stringify([{ digest: tokenDigest('from before'), name: 'old' }]));
  await Promise.all([adoptTokenFile(file, registry, log), adoptTokenFile(file, registry, log)]);
  expect([await tokens.take('from before', 9e15), await tokens.take('from before', 1)]).toEqual(['old', null]);
  writeFileSync(file, '[{"digest":"","name":"x"}]');
  await adoptTokenFile(file, registry, log);
  expect(lines).toEqual([expect.stringContaining('tokens.json')]);
  expect(await tokens.take('', 1)).toBe(null);
});
