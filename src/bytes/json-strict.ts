// JSON from outside, strictly: valid UTF-8, no duplicate keys, no lone surrogates, bounded in size and depth.
import { WireError } from '../errors.ts';
import { fromUtf8 } from './text.ts';

export interface JsonLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
}

export const JSON_LIMITS: JsonLimits = { maxBytes: 1024 * 1024, maxDepth: 32 };

const ESCAPES = '"\\/bfnrt';
const HEX4 = /^[0-9a-fA-F]{4}$/;

function fail(code: 'WIRE_LIMIT' | 'WIRE_MALFORMED', message: string, offset: number): never {
  throw new WireError(code, message, { field: 'json', offset });
}

/** End of the string that starts at `start` (its opening quote): the index after the closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at];
    if (char === '"') return at + 1;
    if (char === '\\') {
      const escaped = text[++at] ?? '';
      if (escaped === 'u') {
        if (!HEX4.test(text.slice(at + 1, at + 5))) fail('WIRE_MALFORMED', 'bad \\u escape', at);
        at += 4;
      } else if (escaped === '' || !ESCAPES.includes(escaped)) fail('WIRE_MALFORMED', 'bad escape', at);
    }
  }
  return fail('WIRE_MALFORMED', 'string without end', start);
}

function nextToken(text: string, from: number): string {
  let at = from;
  while (' \t\r\n'.includes(text[at] ?? 'x')) at++;
  return text[at] ?? '';
}

/** Walks the tokens without recursion: counts depth, and sees every key of every object once. */
function scan(text: string, limits: JsonLimits): void {
  const open: (Set<string> | null)[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '{' || char === '[') {
      if (open.length >= limits.maxDepth) fail('WIRE_LIMIT', `deeper than ${limits.maxDepth}`, at);
      open.push(char === '{' ? new Set() : null);
    } else if (char === '}' || char === ']') open.pop();
    if (char !== '"') {
      at++;
      continue;
    }
    const end = stringEnd(text, at);
    const keys = open.at(-1);
    if (keys !== undefined && keys !== null && nextToken(text, end) === ':') {
      // A string by its quotes.
      const key = JSON.parse(text.slice(at, end)) as string;
      if (keys.has(key)) fail('WIRE_MALFORMED', `the key ${JSON.stringify(key.slice(0, 64))} occurs twice`, at);
      keys.add(key);
    }
    at = end;
  }
}

/** No string of a parsed value may hold half a surrogate pair: it has no UTF-8 form, so two readers would differ on it. */
function assertWellFormed(_key: string, value: unknown): unknown {
  if (!_key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) {
    fail('WIRE_MALFORMED', 'a string holds a lone surrogate', 0);
  }
  return value;
}

/** The value of one JSON text. Errors: WireError, whatever the bytes are. */
export function parseJsonStrict(bytes: Uint8Array, limits: JsonLimits = JSON_LIMITS): unknown {
  if (bytes.length > limits.maxBytes) fail('WIRE_LIMIT', `${bytes.length} bytes, at most ${limits.maxBytes}`, 0);
  const text = fromUtf8(bytes);
  try {
    scan(text, limits);
    return JSON.parse(text, assertWellFormed) as unknown;
  } catch (cause) {
    if (cause instanceof WireError) throw cause;
    // JSON.parse throws SyntaxError alone.
    const { message } = cause as SyntaxError;
    throw new WireError('WIRE_MALFORMED', message, { field: 'json', offset: 0 }, { cause });
  }
}
