// A rehearsal by a user who is not root: files that the agent took writing away from are tampered with and removed all the same.
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { removeTree } from '../../src/files/durable.ts';
import type { RehearsalReport } from '../../src/rehearse/report.ts';
import { makeTestFleet } from '../support/fleet.ts';
import { BINARY } from '../support/rehearsal.ts';

/** `nobody`, who owns nothing. */
const NOBODY = 65_534;
const folder = await realpath(await mkdtemp(join(tmpdir(), 'ts-e2e-')));
afterAll(async () => removeTree(folder));

test('needs no root, and leaves nothing behind', { timeout: 240_000 }, async () => {
  await using fleet = await makeTestFleet();
  const release = await fleet.release({});
  const [place, tmp] = [join(folder, 'place'), join(folder, 'tmp')];
  await cp(release.folder, place, { recursive: true });
  await cp(fleet.profileFile, join(folder, 'profile.json'));
  await cp(join(fleet.dir, 'publisher/publisher.pub.pem'), join(folder, 'key.pem'));
  await mkdir(tmp);
  const isRoot = process.getuid?.() === 0;
  const given = isRoot ? spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, folder]).status : 0;
  expect(given).toBe(0);
  const as = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : ['env'];
  const what = ['--release', place, '--profile', join(folder, 'profile.json'), '--key', join(folder, 'key.pem')];
  const [program = '', ...args] = [...as, process.execPath, BINARY, 'rehearse', '--json', ...what];
  const env = { ...process.env, HOME: tmp, TMPDIR: tmp };
  const ran = spawnSync(program, args, { encoding: 'utf8', env });
  const { rehearsals = [] } = JSON.parse(ran.stdout) as { rehearsals?: readonly RehearsalReport[] };
  if (rehearsals.length !== 1) throw new Error(`nothing was played: ${ran.stderr}`);
  expect(rehearsals[0]?.scenes.filter((scene) => scene.result !== 'passed')).toEqual([]);
  expect(ran.status).toBe(0);
  expect(await readdir(tmp)).toEqual([]);
  await rm(tmp, { recursive: true });
});
