// The examples for build servers: the settings that they show are run through the very script that they call.
import { spawn, spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { ROOT } from '../house/modules.ts';
import { readXml } from '../support/xml.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
afterAll(async () => rm(folder, { recursive: true }));

const ci = join(ROOT, 'firmware-profiles/ci');
const script = join(ci, 'rehearse.sh');
const textOf = async (name: string): Promise<string> => readFile(join(ci, name), 'utf8');

/** `NAME: value` in capitals, as both kinds of file write what the script takes. */
async function settingsOf(name: string): Promise<Record<string, string>> {
  const lines = [...(await textOf(name)).matchAll(/^ +([A-Z_]+): (?!\$\{\{ secrets)(.+)$/gm)];
  return Object.fromEntries(lines.map(([, key = '', value = '']) => [key, value.replaceAll("'", '')]));
}

/** The shell of each step of a workflow, in order: `run: …` on one line, or the lines that are indented below it. */
function shellOf(workflow: string): string[] {
  const lines = workflow.split('\n');
  return lines.flatMap((line, at) => {
    const [, indent = '', said = ''] = /^( +)(?:- )?run: (.*)$/.exec(line) ?? [];
    if (said === '') return [];
    if (said !== '|') return [said];
    const end = lines.findIndex((other, n) => n > at && other.trim() !== '' && !other.startsWith(`${indent} `));
    return [lines.slice(at + 1, end === -1 ? undefined : end).join('\n')];
  });
}

/** A folder that looks like a checkout, with our sources as the installed binary. Answers the folder of the binary. */
async function checkoutAt(checkout: string, settings: Readonly<Record<string, string>>): Promise<string> {
  const bin = join(checkout, 'bin');
  await mkdir(join(checkout, settings['MODEL'] ?? ''), { recursive: true });
  await mkdir(bin);
  await writeFile(join(checkout, settings['MODEL'] ?? '', 'labels.txt'), 'person\n');
  await mkdir(join(checkout, 'profiles'));
  const profile = await readFile(join(ROOT, 'firmware-profiles/generic-linux.json'));
  await writeFile(join(checkout, settings['PROFILES'] ?? ''), profile);
  const binary = join(bin, 'touchstone');
  await writeFile(binary, `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/cli/main.ts')}' "$@"\n`);
  await chmod(binary, 0o755);
  await mkdir(join(checkout, 'tmp'));
  return bin;
}

/** Runs the script in such a folder. */
async function run(name: string, settings: Readonly<Record<string, string>>): Promise<{ code: number; told: string }> {
  const checkout = join(folder, name);
  const bin = await checkoutAt(checkout, settings);
  const { TOUCHSTONE_KEY: _, ...env } = process.env;
  const child = spawn('sh', [script], {
    cwd: checkout,
    env: { ...env, ...settings, TMPDIR: join(checkout, 'tmp'), PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const told: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => told.push(text));
  }
  const [code] = (await once(child, 'close')) as [number];
  expect(await readdir(join(checkout, 'tmp'))).toEqual([]);
  return { code, told: told.join('') };
}

describe('the examples for build servers', () => {
  test('GitHub’s and GitLab’s differ only in how they name the commit', async () => {
    const { RELEASE_VERSION: one, ...github } = await settingsOf('github-actions.yml');
    const { RELEASE_VERSION: other, ...gitlab } = await settingsOf('gitlab-ci.yml');
    expect(one === other).toBe(false);
    expect(gitlab).toEqual(github);
  });

  test('rehearse a release with exactly these settings, signed by a test key', { timeout: 180_000 }, async () => {
    const settings = { ...(await settingsOf('gitlab-ci.yml')), RELEASE_VERSION: '1f2e3d' };
    const { code, told } = await run('good', settings);
    expect({ code, told: code === 0 ? '' : told }).toEqual({ code: 0, told: '' });
    const xml = await readFile(join(folder, 'good/rehearsal/rehearsal.xml'), 'utf8');
    expect(readXml(xml).find('testsuite')[0]?.attributes).toMatchObject({ failures: '0', skipped: '0' });
    expect(await readdir(join(folder, 'good/rehearsal'))).toContain('release');
  });

  test(
    'GitHub’s steps, run one after the other, sign with the key of the build and leave no key behind',
    { timeout: 180_000 },
    async () => {
      const checkout = join(folder, 'github');
      const { RELEASE_VERSION: _, ...settings } = await settingsOf('github-actions.yml');
      const bin = await checkoutAt(checkout, settings);
      const { privateKey } = generateKey('p256');
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim();
      await mkdir(join(checkout, 'runner'));
      const outputs = join(checkout, 'github-env');
      await writeFile(outputs, '');
      const steps = shellOf(await textOf('github-actions.yml'));
      expect(steps).toHaveLength(3);
      for (const step of steps) {
        const exported = Object.fromEntries(
          [...(await readFile(outputs, 'utf8')).matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [
            key,
            value,
          ]),
        );
        const env = {
          ...process.env,
          ...settings,
          ...exported,
          RELEASE_VERSION: '1f2e3d',
          KEY: pem,
          RUNNER_TEMP: join(checkout, 'runner'),
          GITHUB_ENV: outputs,
          TMPDIR: join(checkout, 'tmp'),
          PATH: `${bin}:${process.env['PATH'] ?? ''}`,
        };
        const ran = spawnSync(
          'bash',
          ['-e', '-c', step.replace('/opt/touchstone/firmware-profiles/ci/rehearse.sh', script)],
          {
            cwd: checkout,
            env,
            encoding: 'utf8',
          },
        );
        expect({ step, code: ran.status, told: ran.status === 0 ? '' : ran.stderr + ran.stdout }).toMatchObject({
          code: 0,
        });
      }
      const signer = await readFile(join(checkout, 'rehearsal/publisher.pub.pem'), 'utf8');
      expect(signer).toBe(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }));
      const left = (await readdir(checkout, { recursive: true })).filter((path) => path.endsWith('.key.pem'));
      expect(left).toEqual([]);
    },
  );

  test('GitLab’s last step takes the test key away', async () => {
    const checkout = join(folder, 'gitlab');
    await mkdir(join(checkout, 'rehearsal/test-key'), { recursive: true });
    const key = join(checkout, 'rehearsal/test-key/publisher.key.pem');
    await writeFile(key, 'secret');
    const after = /after_script:\n +- (.+)/.exec(await textOf('gitlab-ci.yml'))?.[1] ?? 'false';
    expect(spawnSync('sh', ['-c', after], { cwd: checkout }).status).toBe(0);
    expect(await readdir(join(checkout, 'rehearsal/test-key'))).toEqual([]);
  });

  test('fail the build with 1 for a release that no device would take', { timeout: 180_000 }, async () => {
    const settings = { ...(await settingsOf('gitlab-ci.yml')), RELEASE_VERSION: '1f2e3d', SLOT_ROLE: 'elsewhere' };
    const { code, told } = await run('misplaced', settings);
    expect(code).toBe(1);
    expect(told).toContain('release-slot-role');
  });

  test('both call the script, and the script parses', async () => {
    for (const name of ['github-actions.yml', 'gitlab-ci.yml']) {
      expect(await textOf(name)).toContain('firmware-profiles/ci/rehearse.sh');
    }
    expect(spawnSync('sh', ['-n', script]).status).toBe(0);
  });

  test('the image has every Debian package that a rehearsal needs', async () => {
    const installed = /apt-get install ([^\\]*)/.exec(await textOf('Containerfile'))?.[1] ?? '';
    const setup = await readFile(join(ROOT, 'native/setup/setup.sh'), 'utf8');
    const packages = [...setup.matchAll(/missing="\$missing ([\w.-]+)"/g)].map((match) => match[1] ?? '');
    // Tests alone use the others: a rehearsal reaches its TPM by a socket, and asks it itself.
    const needed = packages.filter(
      (name) => !['tpm2-tools', 'libtss2-tcti-device0', 'postgresql', 'spin'].includes(name),
    );
    expect(needed.filter((name) => !installed.split(/\s+/).includes(name))).toEqual([]);
    expect(needed.length).toBeGreaterThanOrEqual(5);
  });
});
