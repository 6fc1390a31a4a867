// A stage, a software TPM and a broker whose owner is killed leave no process and no file; one that is released leaves everything.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Guard } from '../../src/testing/guard.ts';
import { ROOT } from '../house/modules.ts';

const folder = await realpath(await mkdtemp(join(tmpdir(), 'ts-guard-')));
afterAll(async () => rm(folder, { recursive: true, force: true }));

const url = (name: string): string => JSON.stringify(pathToFileURL(join(ROOT, 'src/testing', name)).href);

/** Working folders below `dir` of the processes that run. */
async function workingIn(dir: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const cwds = await Promise.all(pids.map(async (pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return cwds.filter((cwd) => cwd.startsWith(`${dir}/`));
}

/** Owners that start something, say so, and would go on for ever. */
const OWNERS = {
  'a stage with a process that started another': `
    const { Stage } = await import(${url('stage.ts')});
    const stage = await Stage.open();
    stage.start('parent', 'sh', ['-c', 'setsid sh -c "trap : TERM HUP; while :; do sleep 1; done" & wait']);`,
  'a software TPM': `
    const { startSoftwareTpm } = await import(${url('software-tpm.ts')});
    await startSoftwareTpm({ ekCertificates: false });`,
  'a broker': `
    const { startBroker } = await import(${url('broker.ts')});
    await startBroker();`,
};

describe('a guard', () => {
  test.each(Object.entries(OWNERS))(
    'ends and removes %s when the owner is killed',
    { timeout: 60_000 },
    async (name, script) => {
      const dir = await mkdtemp(join(folder, 't-'));
      const code = `${script}\nconsole.log('started');\nsetInterval(() => {}, 1000);`;
      const owner = spawn(process.execPath, ['--input-type=module', '-e', code], {
        env: { ...process.env, TMPDIR: dir },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(owner.stdout, 'data');
      while ((await workingIn(dir)).length === 0) await delay(20);
      owner.kill('SIGKILL');
      await once(owner, 'exit');
      for (let tries = 0; tries < 200; tries += 1) {
        if ((await workingIn(dir)).length === 0 && (await readdir(dir)).length === 0) break;
        await delay(50);
      }
      expect({ name, processes: await workingIn(dir), files: await readdir(dir) }).toEqual({
        name,
        processes: [],
        files: [],
      });
    },
  );

  test('that was released touches nothing', async () => {
    const dir = await mkdtemp(join(folder, 'kept-'));
    await writeFile(join(dir, 'file'), 'stays');
    const guard = new Guard(dir);
    await guard.release();
    await guard.release();
    expect(await readdir(dir)).toEqual(['file']);
  });
});
