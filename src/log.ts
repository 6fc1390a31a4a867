// The log of a daemon: one line for each thing that happened, to stderr, for people or for machines. Never secrets.
export type LogLevel = 'info' | 'warning' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** `event` is a stable name for machines, `message` a sentence for people. */
export interface Log {
  write(level: LogLevel, event: string, message: string, fields?: LogFields): void;
}

/** What must not reach a terminal, because others chose it: controls, and what turns the direction of a line. */
const HARMFUL = /[\p{Cc}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu;

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

/** Log lines as text or as one JSON document a line. `now` gives ms since 1970. */
export function lineLog(format: 'text' | 'json', now: () => number, put: (line: string) => void): Log {
  return {
    write: (level, event, message, fields = {}) => {
      const at = new Date(now()).toISOString();
      if (format === 'json') {
        // JSON leaves some of them as they are.
        put(`${JSON.stringify({ at, level, event, message, ...fields }).replaceAll(HARMFUL, escaped)}\n`);
        return;
      }
      put(`${at} ${level === 'info' ? '' : `${level}: `}${message.replaceAll(HARMFUL, '?')}\n`);
    },
  };
}
