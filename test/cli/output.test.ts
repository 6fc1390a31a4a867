// What people and scripts see: tables, colours, clean text, progress.
import { execFileSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { completionScript, placesOf } from '../../src/cli/completion.ts';
import { cleanText, humanBytes, table, wantsColour } from '../../src/cli/output.ts';
import { type BarStream, ProgressBar } from '../../src/cli/progress.ts';

describe('a table', () => {
  test('aligns its columns, whatever is coloured, wide or combined', () => {
    const rows = [
      ['\u001B[31mred\u001B[39m', 'x'],
      ['漢字', 'x'],
      ['e\u0301', 'x'],
    ];
    const lines = table(['name', 'state'], rows).split('\n');
    expect(lines.map((line) => stripVTControlCharacters(line))).toEqual([
      'name  state',
      '────  ─────',
      'red   x',
      '漢字  x',
      'e\u0301     x',
    ]);
  });

  test('keeps the lines of a cell in its column', () => {
    expect(
      table(['a', 'b'], [['1\n2', 'x']])
        .split('\n')
        .slice(2),
    ).toEqual(['1  x', '2']);
  });
});

describe('text of others', () => {
  test('cannot move the cursor, ring or turn the reading direction', () => {
    expect(cleanText('a\u001B[2J\u0007\r\n\u202E\u009Bb')).toBe(String.raw`a\u{1b}[2J\u{7}\u{d}\u{a}\u{202e}\u{9b}b`);
  });

  test('stays as it is when it is only text', () => {
    expect(cleanText('Gerät-7 漢字')).toBe('Gerät-7 漢字');
  });
});

describe('colours', () => {
  test.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{}, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
  ])('on %j with %j: %j', (stream, env, wanted) => {
    expect(wantsColour(stream, env)).toBe(wanted);
  });
});

test('bytes are told in the unit that people read', () => {
  expect([0, 1023, 1024, 1_610_612_736].map((bytes) => humanBytes(bytes))).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 GiB',
  ]);
});

describe('a progress bar', () => {
  function barOn(stream: Partial<BarStream>): { text: () => string; bar: ProgressBar; tick: () => void } {
    let written = '';
    let now = 0;
    const bar = new ProgressBar({
      label: 'hashing',
      total: 1000,
      stream: { columns: 60, write: (text) => (written += text), ...stream },
      env: {},
      monotonic: () => now,
    });
    return { text: () => written, bar, tick: () => void (now += 1000) };
  }

  test('writes nothing where no person looks', () => {
    const { text, bar } = barOn({});
    bar.advance(500);
    bar[Symbol.dispose]();
    expect(text()).toBe('');
  });

  test('shows its share, fits the line, and wipes itself', () => {
    const { text, bar, tick } = barOn({ isTTY: true });
    tick();
    bar.advance(500, `a-file-${'x'.repeat(200)}\u001B[2J`);
    expect(text()).toContain(' 50 %');
    // 59 columns and the carriage return.
    expect(stripVTControlCharacters(text()).length).toBeLessThanOrEqual(60);
    bar[Symbol.dispose]();
    expect(text().endsWith('\r\u001B[2K')).toBe(true);
  });

  test('does not draw more often than a person can see', () => {
    const { text, bar } = barOn({ isTTY: true });
    for (let count = 0; count < 1000; count += 1) bar.advance(1);
    expect(text().split('\r').length).toBeLessThan(4);
  });
});

describe('completion', () => {
  const program = new Command('touchstone');
  program.command('device').description("the fleet's devices").command('list').description('list').option('--all');

  test('knows every place of the tree with its options', () => {
    expect(placesOf(program).map((place) => place.path)).toEqual(['', 'device', 'device list']);
    expect(placesOf(program)[2]?.options.map((option) => option.flag)).toEqual(['--all', '--help']);
  });

  test('for bash offers what may follow', () => {
    const script = `${completionScript('bash', program)}
      COMP_WORDS=(touchstone device l); COMP_CWORD=2; _touchstone; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(touchstone device list --a); COMP_CWORD=3; _touchstone; echo "\${COMPREPLY[@]}"`;
    expect(execFileSync('bash', ['-c', script], { encoding: 'utf8' })).toBe('list\n--all\n');
  });

  test('quotes descriptions, so that none of them is run by the shell', () => {
    for (const shell of ['zsh', 'fish'] as const) {
      expect(completionScript(shell, program)).toContain(String.raw`the fleet'\''s devices`);
    }
  });
});
