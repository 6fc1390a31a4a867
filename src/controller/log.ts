// The controller's log: one line for each thing that happened, to stderr, for people or for machines. Never secrets.
export type LogLevel = 'info' | 'warning' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** `event` is a stable name for machines, `message` a sentence for people. */
export interface ControllerLog {
  write(level: LogLevel, event: string, message: string, fields?: LogFields): void;
}

/** Log lines as text or as one JSON document a line. `now` gives ms since 1970. */
export function controllerLog(format: 'text' | 'json', now: () => number, put: (line: string) => void): ControllerLog {
  return {
    write: (level, event, message, fields = {}) => {
      const at = new Date(now()).toISOString();
      if (format === 'json') {
        put(`${JSON.stringify({ at, level, event, message, ...fields })}\n`);
        return;
      }
      // What devices and brokers name must not write escape sequences into a terminal.
      const clean = message.replaceAll(/[\p{Cc}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu, '?');
      put(`${at} ${level === 'info' ? '' : `${level}: `}${clean}\n`);
    },
  };
}
