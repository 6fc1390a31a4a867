// What all commands of signers have in common: help that teaches, wrong usage told as such, nothing but results on stdout.
import { execFileSync } from 'node:child_process';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { fullProgram } from '../../src/cli/program.ts';
import { touchstone } from '../support/binary.ts';

const COMMANDS = [
  'fleet init',
  'keygen',
  'sign',
  'verify',
  'release make',
  'release add',
  'release list',
  'release withdraw',
  'profile check',
  'profile config',
  'explain',
];

async function find(path: string): Promise<Command> {
  let command = await fullProgram();
  for (const word of path.split(' ')) {
    const child = command.commands.find((one) => one.name() === word);
    if (child === undefined) throw new TypeError(`no command ${path}`);
    command = child;
  }
  return command;
}

describe('every command of signers', () => {
  test.each(COMMANDS)('%s describes itself and each of its options', async (path) => {
    const command = await find(path);
    expect(command.description()).not.toBe('');
    expect(command.options.filter((option) => option.description === '').map((option) => option.flags)).toEqual([]);
    expect(
      command.registeredArguments.every((argument) => argument.name() === 'rule' || argument.description !== ''),
    ).toBe(true);
  });

  test.each(COMMANDS)('%s has no option that takes a secret itself', async (path) => {
    const { options } = await find(path);
    const secret = options.filter(
      (option) => /key|secret|token|pass/.test(option.long ?? '') && option.attributeName() !== 'rootKeys',
    );
    expect(secret.every((option) => /<file>/.test(option.flags))).toBe(true);
  });
});

describe('the binary', () => {
  test.each([
    [['release'], 'withdraw'],
    [['release', 'make', '--help'], 'Example'],
    [['fleet', 'init', '--help'], 'Examples'],
    [['help', 'verify'], 'never used'],
  ])('teaches with its help: %j', async (args, words) => {
    const { stdout, stderr } = await touchstone(args);
    expect(stdout + stderr).toContain(words);
  });

  test.each([
    [['sign', '--no-key']],
    [['verify', 'model', '--os-roots']],
    [['release', 'publish']],
    [['profile', 'check']],
    [['explain', 'a', 'b']],
  ])('takes wrong usage as such, on stderr: %j', async (args) => {
    const { code, stdout, stderr } = await touchstone(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('--help');
  });

  test('colours nothing that goes into a pipe, whatever is asked, and nothing under NO_COLOR', async () => {
    for (const env of [{ FORCE_COLOR: '1' }, { NO_COLOR: '1' }, { CLICOLOR_FORCE: '1' }]) {
      const { stdout } = await touchstone(['explain', 'release-expired'], { env });
      expect(stdout).not.toContain('\u001B');
    }
  });

  test('lists its commands under what they are for, in the order of a fleet’s life', async () => {
    const { code, stdout } = await touchstone(['--help']);
    const words = [
      'Setting up:',
      'fleet',
      'Signing:',
      'keygen',
      'release',
      'The fleet:',
      'controller',
      'Finding out:',
      'More:',
    ];
    const places = words.map((word) => stdout.indexOf(`\n${word.endsWith(':') ? word : `  ${word} `}`));
    expect(code).toBe(0);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
  });

  test('completes the new commands and their options', async () => {
    const { stdout: script } = await touchstone(['completion', 'bash']);
    const ask = `${script}
      COMP_WORDS=(touchstone release w); COMP_CWORD=2; _touchstone; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(touchstone fleet init --root); COMP_CWORD=3; _touchstone; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(touchstone key); COMP_CWORD=1; _touchstone; echo "\${COMPREPLY[@]}"`;
    expect(execFileSync('bash', ['-c', ask], { encoding: 'utf8' })).toBe('withdraw\n--root-keys\nkeygen\n');
  });
});
