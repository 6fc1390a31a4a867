// The demo as a person runs it: every step as expected, exit code 0, and nothing left behind; interrupted, nothing either.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, describe, expect, test, vi } from 'vitest';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
afterAll(async () => rm(folder, { recursive: true }));

/** Command lines of processes that name `folder`: what a demo in it has left running. */
function runningIn(): string[] {
  const listed = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout.split('\n');
  return listed.filter((line) => line.includes(`${folder}/touchstone-`));
}

const env = { ...process.env, TMPDIR: folder };

interface Document {
  readonly ok: boolean;
  readonly steps: readonly { readonly title: string; readonly asExpected: boolean; readonly saw: string }[];
}

describe('touchstone demo', () => {
  test('plays every step as expected and leaves nothing behind', { timeout: 300_000 }, async () => {
    const child = spawn(process.execPath, [main, 'demo', '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, messages]: [string[], string[]] = [[], []];
    child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => messages.push(text));
    const [code] = (await once(child, 'close')) as [number];
    const document = JSON.parse(out.join('')) as Document;
    expect(document.steps.filter((step) => !step.asExpected)).toEqual([]);
    expect(document.steps.length).toBeGreaterThanOrEqual(19);
    expect({ code, ok: document.ok, messages: code === 0 ? [] : messages }).toEqual({
      code: 0,
      ok: true,
      messages: [],
    });
    expect(runningIn()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  // The second step has begun: broker and controller run, and the device is about to.
  const begun = async (child: ChildProcessByStdio<null, Readable, null>): Promise<void> => {
    let text = '';
    const { promise, resolve } = Promise.withResolvers<void>();
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes('\n2/')) resolve();
    });
    await promise;
  };

  test('leaves nothing behind when it is interrupted', { timeout: 120_000 }, async () => {
    const child = spawn(process.execPath, [main, 'demo'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    await begun(child);
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(130);
    expect(runningIn()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  test('leaves nothing behind when its reader goes away', { timeout: 120_000 }, async () => {
    const child = spawn(process.execPath, [main, 'demo'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    await begun(child);
    child.stdout.destroy();
    await once(child, 'exit');
    // It may have had no time to clean up behind itself; then its guard does, after it.
    await vi.waitFor(
      () => {
        expect(runningIn()).toEqual([]);
      },
      { timeout: 30_000 },
    );
    expect(await readdir(folder)).toEqual([]);
  });
});
