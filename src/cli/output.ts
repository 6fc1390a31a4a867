// What commands print: text and tables for people, or one JSON document for scripts. Results go to stdout, messages to stderr.
import { stripVTControlCharacters, styleText } from 'node:util';
import type { Command } from 'commander';

export type Colour = 'green' | 'yellow' | 'red' | 'cyan' | 'dim' | 'bold';
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined };

/** One for each call of a command. */
export interface Output {
  readonly json: boolean;
  /** The result: `document` with --json, else what `text` returns. Call it once. */
  result(document: Json, text: () => string): void;
  /** A message to the person at the terminal; stderr, so it never mixes with a result. */
  readonly note: (message: string) => void;
  /** Colours `text` when stdout is a terminal that wants colours. */
  paint(colour: Colour, text: string): string;
}

/**
 * Makes text from a device, a file or a broker harmless for a terminal: control characters (escape sequences among them)
 * and bidirectional overrides become visible `\u{…}`.
 */
export function cleanText(text: string, options: { keepNewlines?: boolean } = {}): string {
  return text.replaceAll(/[\p{Cc}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu, (character) =>
    character === '\n' && options.keepNewlines === true
      ? character
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Whether this stream gets colours: a terminal, `NO_COLOR` empty or unset (no-color.org), not `TERM=dumb`. */
export function wantsColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  const refused = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return stream.isTTY === true && !refused && env['TERM'] !== 'dumb';
}

function makeOutput(json: boolean): Output {
  const colour = wantsColour(process.stdout, process.env);
  return {
    json,
    result: (document, text) => {
      const printed = json ? JSON.stringify(document, null, 2) : text();
      process.stdout.write(printed.endsWith('\n') ? printed : `${printed}\n`);
    },
    note: (message) => {
      process.stderr.write(`${message}\n`);
    },
    paint: (name, text) => (colour ? styleText(name, text, { validateStream: false }) : text),
  };
}

/** The output as the command was called: looks for --json at the command and everything above it. */
export function outputOf(command: Command): Output {
  return makeOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
}

/** Columns a terminal gives to `text`: without colours, combining marks for nothing, wide East Asian characters for two. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    if (/\p{Mn}|\u{200b}|\u{200d}|[\u{fe00}-\u{fe0f}]/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Emoji_Presentation}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

/** A table with a line of headings; cells may be coloured and may hold several lines. Text of others must be cleaned before. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(widthOf(heading), ...rows.flatMap((row) => (row[column] ?? '').split('\n')).map((line) => widthOf(line))),
  );
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join('  ')
      .trimEnd();
  const lines = [lineOf(headings), lineOf(widths.map((width) => '─'.repeat(width)))];
  for (const row of rows) {
    const cells = headings.map((_, column) => (row[column] ?? '').split('\n'));
    const height = Math.max(...cells.map((cell) => cell.length));
    for (let index = 0; index < height; index += 1) lines.push(lineOf(cells.map((cell) => cell[index] ?? '')));
  }
  return lines.join('\n');
}

/** Bytes for people: `1.5 GiB`. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit] ?? ''}`;
}
