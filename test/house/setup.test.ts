// The set-up: silent when all is there, clear when something is missing, and not fooled by half-installed modules.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from './modules.ts';
import { textOf } from './tree.ts';

const setup = join(ROOT, 'native/setup/setup.sh');
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'touchstone-setup-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('setup.sh', () => {
  test('says nothing when all is there, and runs the command on the pinned Node', () => {
    const run = spawnSync('sh', [setup, 'node', '--version'], { encoding: 'utf8' });
    const pinned = (JSON.parse(textOf('package.json')) as { devDependencies: { node: string } }).devDependencies.node;
    expect(run).toMatchObject({ status: 0, stderr: '', stdout: `v${pinned}\n` });
  });

  test('hands over arguments as they are, and the exit code of the command', () => {
    const run = spawnSync('sh', [setup, 'sh', '-c', 'printf "%s|" "$@"; exit 7', '-', 'a b', '*', '$x'], {
      encoding: 'utf8',
    });
    expect(run).toMatchObject({ status: 7, stdout: 'a b|*|$x|' });
  });

  test('names what is missing and ends with 3 where it cannot install it', () => {
    // A machine without apt-get and without a TPM emulator.
    for (const tool of ['sh', 'dirname', 'cmp']) {
      symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), join(folder, tool));
    }
    const run = spawnSync(join(folder, 'sh'), [setup, 'true'], { encoding: 'utf8', env: { PATH: folder } });
    expect(run.status).toBe(3);
    expect(run.stderr).toContain('swtpm swtpm-tools');
  });
});

describe('modules-match.mjs', () => {
  const native = { optional: true, os: ['linux'], cpu: [process.arch], integrity: 'n' };
  const foreign = { optional: true, os: ['darwin'], cpu: ['arm64'], integrity: 'f' };
  const lock = { '': {}, 'node_modules/a': { integrity: 'a' }, 'node_modules/n': native, 'node_modules/f': foreign };

  /** Whether a folder in which `found` is installed counts as what `lock` asks for. */
  function matches(found: Record<string, { integrity: string }>, onDisk = Object.keys(found)): boolean {
    for (const path of ['node_modules', ...onDisk]) mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: lock }));
    writeFileSync(join(folder, 'node_modules/.package-lock.json'), JSON.stringify({ packages: found }));
    return spawnSync('node', [join(ROOT, 'native/setup/modules-match.mjs')], { cwd: folder }).status === 0;
  }

  const [a, n] = [{ integrity: 'a' }, { integrity: 'n' }];

  test('accepts modules that lack only the native parts of other platforms', () => {
    expect(matches({ 'node_modules/a': a, 'node_modules/n': n })).toBe(true);
  });

  test('refuses modules that lack the native part of this platform, as an older npm leaves them', () => {
    expect(matches({ 'node_modules/a': a })).toBe(false);
  });

  test('refuses another content, a surplus package, and one that is listed but not there', () => {
    expect(matches({ 'node_modules/a': { integrity: 'b' }, 'node_modules/n': n })).toBe(false);
    expect(matches({ 'node_modules/a': a, 'node_modules/n': n, 'node_modules/x': a })).toBe(false);
    rmSync(join(folder, 'node_modules'), { recursive: true });
    expect(matches({ 'node_modules/a': a, 'node_modules/n': n }, ['node_modules/a'])).toBe(false);
  });
});
