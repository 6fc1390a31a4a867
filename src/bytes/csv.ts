// Tables as lines of text with commas (RFC 4180): read strictly, each row with the line that it began on; written so that no cell is a formula.
import { WireError } from '../errors.ts';
import { fromUtf8 } from './text.ts';

export interface CsvRow {
  /** From 1. */
  readonly line: number;
  /** By the name in the first row. */
  readonly cells: ReadonlyMap<string, string>;
}

export interface CsvLimits {
  readonly maxBytes: number;
  readonly maxRows: number;
}

const MAX_COLUMNS = 64;

function fail(message: string, line: number, code: 'WIRE_LIMIT' | 'WIRE_MALFORMED' = 'WIRE_MALFORMED'): never {
  throw new WireError(code, message, { field: `line ${line}`, offset: 0 });
}

interface Raw {
  readonly line: number;
  readonly cells: string[];
}

/** A plain cell, up to the comma or the line's end after it; a quoted one, in which quotes are doubled. */
const CELL = /"((?:[^"]|"")*)"|([^",\r\n]*)/uy;
const END = /,|\r?\n|$/uy;

function* rowsOf(text: string, maxRows: number): Generator<Raw> {
  let line = 1;
  // The first names the columns.
  let left = maxRows + 1;
  for (let at = 0; at < text.length;) {
    const row: Raw = { line, cells: [] };
    for (;;) {
      CELL.lastIndex = at;
      const cell = CELL.exec(text);
      const [whole = '', quoted, plain = ''] = cell ?? [];
      END.lastIndex = at + whole.length;
      const [end] =
        END.exec(text) ?? fail('a quote inside of a cell that does not begin with one, or without its end', line);
      row.cells.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
      if (row.cells.length > MAX_COLUMNS) fail(`more than ${MAX_COLUMNS} columns`, line, 'WIRE_LIMIT');
      line += whole.split('\n').length - 1;
      at += whole.length + end.length;
      if (end !== ',') break;
    }
    line += 1;
    // An empty line is no row.
    if (row.cells.length === 1 && row.cells[0] === '') continue;
    if (left === 0) fail(`more than ${maxRows} rows`, row.line, 'WIRE_LIMIT');
    left -= 1;
    yield row;
  }
}

/** Every row after the first, which names the columns, `needed` among them. Errors: WireError whose field is the line. */
export function readCsv(bytes: Uint8Array, needed: readonly string[], limits: CsvLimits): CsvRow[] {
  if (bytes.length > limits.maxBytes) fail(`longer than ${limits.maxBytes} bytes`, 1, 'WIRE_LIMIT');
  const rows = [...rowsOf(fromUtf8(bytes).replace(/^\uFEFF/u, ''), limits.maxRows)];
  const [head, ...rest] = rows;
  const names = head?.cells ?? [];
  const missing = needed.filter((one) => !names.includes(one));
  if (missing.length > 0)
    fail(`the first line must name the columns, separated by commas; not there: ${missing.join(', ')}`, 1);
  if (new Set(names).size < names.length) fail('two columns have one name', 1);
  return rest.map(({ line, cells }) => {
    if (cells.length !== names.length) fail(`${cells.length} cells, and ${names.length} columns`, line);
    return { line, cells: new Map(names.map((one, column) => [one, cells[column] ?? ''])) };
  });
}

/** A spreadsheet would run what begins like this. */
const FORMULA = /^[=+\-@\t\r]/u;

function cellOf(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line for each row, the names of the columns first. */
export function writeCsv(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [columns, ...rows].map((row) => `${row.map(cellOf).join(',')}\r\n`).join('');
}
