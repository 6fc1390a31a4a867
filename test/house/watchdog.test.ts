// The watchdog of a test run: it ends a file that takes too long with all that it started, and nothing else.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { treeOf, watch } from '../run/watchdog.ts';

let folder = '';
let child: ChildProcess;
let grandchild = 0;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'watchdog-'));
  child = spawn('sh', ['-c', 'sleep 600 & echo $!; wait $!'], { stdio: ['ignore', 'pipe', 'ignore'] });
  if (child.stdout === null) throw new TypeError('stdout is a pipe');
  grandchild = Number(String(await once(child.stdout, 'data')));
});

afterEach(() => {
  for (const pid of child.pid === undefined ? [] : treeOf(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The test has ended it.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

/** False also for a process that has ended and that nobody asked about. */
function runs(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !readFileSync(path, 'utf8').includes(') Z ');
}

/** The files that a watchdog with `root` ends, once it has looked at everything. */
async function ended(root: number, limitMs: number): Promise<string[]> {
  writeFileSync(join(folder, String(child.pid)), 'hangs.test.ts');
  const files: string[] = [];
  const watchdog = watch({ folder, root, limitMs, everyMs: 5, onEnded: (file) => files.push(file) });
  const gone = once(child, 'exit').then(() => 'gone');
  const looked = new Promise((resolve) => {
    setTimeout(resolve, 200, 'looked');
  });
  // What must be ended is waited for; what must stay is given time to be ended wrongly.
  await (limitMs === 0 && root === process.pid ? gone : looked);
  watchdog.stop();
  return files;
}

describe('the watchdog', () => {
  test('ends a file that takes too long, and what it started', async () => {
    expect(await ended(process.pid, 0)).toEqual(['hangs.test.ts']);
    // What it started is ended first: a shell that waits for it may come to its own end before it is killed.
    expect(child.signalCode === 'SIGKILL' || child.exitCode === 128 + 9).toBe(true);
    await vi.waitUntil(() => !runs(grandchild));
  });

  test('leaves a file that has time left', async () => {
    expect(await ended(process.pid, 1e9)).toEqual([]);
    expect(treeOf(child.pid ?? 0)).toEqual([grandchild, child.pid]);
  });

  test('leaves a process that is not of this run, though its number was announced', async () => {
    expect(await ended(grandchild, 0)).toEqual([]);
    expect(child.signalCode).toBeNull();
  });
});
