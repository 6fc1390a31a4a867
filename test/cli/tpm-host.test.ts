// What the doctor reads from the operating system: files, rights, and who has a file open.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHost, usersOf } from '../../src/cli/tpm-host.ts';

let dir: string;
let file: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tpm-host-'));
  file = join(dir, 'tpm');
  await writeFile(file, '');
});
afterAll(async () => {
  await rm(dir, { recursive: true });
});

test('a device node that is there is described with its group, one that is not there as missing', async () => {
  const there = await readHost(`device:${file}`);
  expect(there).toMatchObject({ kind: 'device', libraryFault: null, path: { path: file, exists: true, usable: true } });
  expect(there.path?.group).not.toBe('');
  const missing = await readHost(`device:${file}9`);
  expect(missing.path).toEqual({ path: `${file}9`, exists: false, usable: false, group: '' });
  expect((await readHost('tabrmd')).path).toBeNull();
});

test('a program that has the file open is named with its process id, and this one is not', async () => {
  const handle = await open(file, 'r');
  expect(await usersOf([file])).toEqual([]);
  const program = spawn('sleep', ['60'], { stdio: [handle.fd, 'ignore', 'ignore'] });
  await once(program, 'spawn');
  try {
    expect(await usersOf([file])).toEqual([`sleep (${program.pid ?? 0})`]);
  } finally {
    const gone = once(program, 'exit');
    program.kill('SIGKILL');
    await gone;
    await handle.close();
  }
  expect(await usersOf([])).toEqual([]);
});
