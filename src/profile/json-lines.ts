// Where in a JSON text a value stands, so that a fault can be shown on its line.
import type { WireError } from '../errors.ts';

/** Line numbers (from 1) by dotted path; '' is the whole text. */
export type JsonLines = ReadonlyMap<string, number>;

/** Tokens of JSON; white space counts for its line ends only. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+|\n/gu;

interface Open {
  readonly path: string;
  /** Number of the next element; null in an object. */
  index: number | null;
  /** The key whose value comes next; null before one was read. */
  key: string | null;
}

/** The lines of every key and element of a text that JSON.parse takes. Walks without recursion. */
export function jsonLines(text: string): JsonLines {
  const lines = new Map<string, number>([['', 1]]);
  const open: Open[] = [];
  let line = 1;
  const pathHere = (): string => {
    const at = open.at(-1);
    if (at === undefined) return '';
    const last = at.index ?? at.key ?? '';
    return at.path === '' ? String(last) : `${at.path}.${last}`;
  };
  for (const [token] of text.matchAll(TOKEN)) {
    const at = open.at(-1);
    if (token === '\n') line++;
    else if (token === ',') {
      if (at === undefined) continue;
      if (at.index === null) at.key = null;
      else at.index++;
    } else if (token === '}' || token === ']') open.pop();
    else if (token !== ':') {
      if (at?.index === null && at.key === null) {
        // A key: what follows belongs to its line.
        at.key = JSON.parse(token) as string;
        lines.set(pathHere(), line);
        continue;
      }
      const path = pathHere();
      if (!lines.has(path)) lines.set(path, line);
      if (token === '{') open.push({ path, index: null, key: null });
      if (token === '[') open.push({ path, index: 0, key: null });
    }
  }
  return lines;
}

/** The line of a field, or of what holds it where it is not there itself. */
export function lineOf(lines: JsonLines, field: string): number {
  for (let path = field; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('.')))) {
    const line = lines.get(path);
    if (line !== undefined) return line;
  }
  return 1;
}

/** The line of a character. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** What a text that is no JSON is refused for, and on which line, as far as the parser knows it. */
export function jsonFault(bytes: Uint8Array, error: WireError): { readonly message: string; readonly line: number } {
  const { cause } = error;
  const message = cause instanceof SyntaxError ? cause.message : error.message;
  const place = / \(line (\d+) column \d+\)/.exec(message);
  const line = place === null ? lineAt(Buffer.from(bytes).toString('utf8'), error.offset) : Number(place[1]);
  return { message: message.replace(/ in JSON at position .*$/su, ''), line };
}
