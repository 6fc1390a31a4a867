// Tables: read strictly, each fault with its line; written so that no spreadsheet runs a cell.
import { describe, expect, test } from 'vitest';
import { readCsv, writeCsv } from '../../src/bytes/csv.ts';
import { WireError } from '../../src/errors.ts';

const LIMITS = { maxBytes: 16 * 1024 * 1024, maxRows: 3 };
const rows = (text: string, needed: readonly string[] = []): unknown[] =>
  readCsv(Buffer.from(text), needed, LIMITS).map(({ line, cells }) => [line, Object.fromEntries(cells)]);
function fault(text: string | Buffer, needed: readonly string[] = []): [string, string] {
  try {
    readCsv(Buffer.from(text), needed, LIMITS);
  } catch (error) {
    if (error instanceof WireError) return [error.code, error.field];
    throw error;
  }
  throw new RangeError('it was read');
}

describe('a table', () => {
  test('is read by the names of its columns, with the line of each row', () => {
    const text = '\uFEFFserial, ek\r\n"a, ""b""\nc",1\r\n\r\n d ,\r\n"",2';
    expect(rows(text, ['ek'])).toEqual([
      [2, { serial: 'a, "b"\nc', ek: '1' }],
      [5, { serial: 'd', ek: '' }],
      [6, { serial: '', ek: '2' }],
    ]);
    expect(rows('a\n')).toEqual([]);
  });

  test.each<[string, string | Buffer, string, string]>([
    ['without a column that is needed', 'serial\nx', 'WIRE_MALFORMED', 'line 1'],
    ['with other separators', 'serial;ek\nx;y', 'WIRE_MALFORMED', 'line 1'],
    ['with a column twice', 'ek,ek\n1,2', 'WIRE_MALFORMED', 'line 1'],
    ['with a cell too many', 'ek,b\n1,2\n1,2,3', 'WIRE_MALFORMED', 'line 3'],
    ['with a cell too few', 'ek,b\n1,2\n\n1', 'WIRE_MALFORMED', 'line 4'],
    ['with a quote in a plain cell', 'ek\na"b', 'WIRE_MALFORMED', 'line 2'],
    ['with a quote that never ends', 'ek\n"a\n', 'WIRE_MALFORMED', 'line 2'],
    ['with something behind a quote', 'ek\n"a"b', 'WIRE_MALFORMED', 'line 2'],
    ['with too many rows', 'ek\n1\n2\n3\n4\n', 'WIRE_LIMIT', 'line 5'],
    ['with too many columns', `ek${',x'.repeat(64)}`, 'WIRE_LIMIT', 'line 1'],
    ['that is no text', Buffer.from('ek\n\xff', 'latin1'), 'WIRE_MALFORMED', 'value'],
    ['that is empty', '', 'WIRE_MALFORMED', 'line 1'],
  ])('%s is refused on its line', (_, text, code, field) => {
    expect(fault(text, ['ek'])).toEqual([code, expect.stringContaining(field === 'value' ? '' : field)]);
  });

  test('of one huge cell is read, or refused, without more than its size', () => {
    const cell = '""'.repeat(4 * 1024 * 1024);
    expect(rows(`ek\n"${cell}"`)).toHaveLength(1);
    expect(fault(`ek\n"${cell}`)[0]).toBe('WIRE_MALFORMED');
    expect(fault(Buffer.alloc(LIMITS.maxBytes + 1, 0x20))[0]).toBe('WIRE_LIMIT');
  });
});

test('what is written is read as the same, and no cell is a formula', () => {
  const cells = [
    ['a,b', 'c"d', 'e\r\nf'],
    ['', ' x ', 'y'],
  ];
  const text = writeCsv(['k', 'l', 'm'], cells);
  expect(readCsv(Buffer.from(text), [], LIMITS).map((row) => [...row.cells.values()])).toEqual([
    cells[0],
    ['', 'x', 'y'],
  ]);
  expect(writeCsv(['a'], [['=cmd()'], ['+1'], ['-1'], ['@x']])).toBe("a\r\n'=cmd()\r\n'+1\r\n'-1\r\n'@x\r\n");
});
