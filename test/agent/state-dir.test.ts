// One agent per state directory, also after the one before was killed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openStateDir } from '../../src/agent/state-dir.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-state-'));
afterAll(async () => rm(folder, { recursive: true }));

describe('the state directory', () => {
  it('is of one agent at a time', async () => {
    const dir = join(folder, 'one');
    const first = await openStateDir(dir);
    await expect(openStateDir(dir)).rejects.toThrow('another agent runs');
    await first[Symbol.asyncDispose]();
    await (await openStateDir(dir))[Symbol.asyncDispose]();
  });

  it('is free again when its agent was killed', async () => {
    const dir = join(folder, 'two');
    const module = new URL('../../src/agent/state-dir.ts', import.meta.url).href;
    const code = `await (await import(${JSON.stringify(module)})).openStateDir(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await expect(openStateDir(dir)).rejects.toThrow('another agent runs');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await openStateDir(dir))[Symbol.asyncDispose]();
  });

  it('can be read and listed by nobody else', async () => {
    const dir = join(folder, 'three');
    await using held = await openStateDir(dir);
    expect(held).toBeDefined();
    expect((await stat(dir)).mode & 0o066).toBe(0);
  });
});
