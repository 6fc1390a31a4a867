// What every command gets from its frame: exit codes, --json, failures that say what to do, lazy loading.
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { COMMANDS, type CommandEntry } from '../../src/cli/commands.ts';
import { failureOf } from '../../src/cli/failure.ts';
import { outputOf } from '../../src/cli/output.ts';
import { fullProgram, runProgram } from '../../src/cli/program.ts';
import { ConfigError, ERROR_CODES, StoreError } from '../../src/errors.ts';

let stdout = '';
let stderr = '';

beforeEach(() => {
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((stderr += String(text)), true));
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** A program with one command `act` that does `action`, and one that must not be loaded. */
function entriesFor(action: (options: object, command: Command) => void): CommandEntry[] {
  const act = new Command('act').description('acts').option('--version <text>').action(action);
  return [
    { name: 'act', summary: 'acts', load: async () => act },
    { name: 'other', summary: 'is left alone', load: async () => Promise.reject(new TypeError('loaded')) },
  ];
}

describe('the exit code', () => {
  test('is 0 for a command that ended, for help and for the version', async () => {
    const entries = entriesFor(() => undefined);
    for (const argv of [['act'], ['--help'], ['act', '--help'], ['help', 'act'], ['--version']]) {
      expect(await runProgram(argv, entries)).toBe(0);
    }
  });

  test('is 1 when the action judged against', async () => {
    const judge = (): void => void (process.exitCode = 1);
    expect(await runProgram(['act'], entriesFor(judge))).toBe(1);
  });

  test.each([[['nosuch']], [['act', '--nosuch']], [['act', 'surplus']], [[]]])(
    'is 2 for wrong usage: %j',
    async (argv) => {
      expect(
        await runProgram(
          argv,
          entriesFor(() => undefined),
        ),
      ).toBe(2);
      expect(stderr).not.toBe('');
    },
  );

  test('is 3 for a failed operation, with what to do next on stderr', async () => {
    const fail = (): never => {
      throw new StoreError('STORE_FAILED', 'cannot write', { cause: new Error('no space left') });
    };
    expect(await runProgram(['act'], entriesFor(fail))).toBe(3);
    expect(stderr).toContain('cannot write');
    expect(stderr).toContain('no space left');
    expect(stderr).toContain(ERROR_CODES.STORE_FAILED);
  });

  test('is 2 for a failure that is wrong usage', () => {
    expect(failureOf(new ConfigError('USAGE', 'both at once')).exit).toBe(2);
  });
});

describe('the frame', () => {
  test('loads only the module of the command that was called', async () => {
    expect(
      await runProgram(
        ['act'],
        entriesFor(() => undefined),
      ),
    ).toBe(0);
  });

  test('gives a command its own option although the program has one of that name', async () => {
    const seen: object[] = [];
    await runProgram(
      ['act', '--version', '2'],
      entriesFor((options) => void seen.push(options)),
    );
    expect(seen).toEqual([{ version: '2' }]);
  });

  test.each([[['--json', 'act']], [['act', '--json']]])(
    'takes --json before and after the command: %j',
    async (argv) => {
      const print = (_: object, command: Command): void => outputOf(command).result({ a: 1 }, () => 'text');
      await runProgram(argv, entriesFor(print));
      expect(JSON.parse(stdout)).toEqual({ a: 1 });
    },
  );

  test('prints a failure as the one JSON document when --json was given', async () => {
    const fail = (): never => {
      throw new ConfigError('CONFIG_MISSING', 'fleet.json');
    };
    await runProgram(['act', '--json'], entriesFor(fail));
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CONFIG_MISSING', message: 'fleet.json' } });
  });

  test('lets no escape sequence of an error message reach the terminal', async () => {
    const fail = (): never => {
      throw new ConfigError('CONFIG_INVALID', 'name \u001B[2J is bad');
    };
    await runProgram(['act'], entriesFor(fail));
    expect(stderr).not.toContain('\u001B');
  });

  test('says of a bug that it is one, with its stack', () => {
    const failure = failureOf(new TypeError('never'));
    expect(failure).toMatchObject({ code: null, exit: 3 });
    expect(failure.message).toContain('program.test.ts');
  });

  test('survives a chain of causes that is a ring', () => {
    const error = new Error('one');
    error.cause = error;
    expect(failureOf(error).causes.length).toBeLessThan(10);
  });
});

describe('the real commands', () => {
  test('all load, under the name and with a description that the help shows', async () => {
    const program = await fullProgram();
    expect(program.commands.map((command) => command.name())).toEqual(COMMANDS.map((entry) => entry.name));
    const silent = (command: Command): string[] => [
      ...(command.description() === '' ? [command.name()] : []),
      ...command.commands.flatMap((child) => silent(child)),
    ];
    expect(silent(program)).toEqual([]);
  });
});
