// The one place that turns a thrown error into a message, what to do next, and an exit code.
import { ERROR_CODES, TouchstoneError } from '../errors.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { cleanText } from './output.ts';

/** What went wrong, for people and scripts. `code` is null for what carries none: a bug, or an error of the system. */
export interface Failure {
  readonly code: string | null;
  readonly message: string;
  /** What to do now. */
  readonly now: string;
  /** Messages of the causes, outermost first. */
  readonly causes: readonly string[];
  readonly exit: ExitCode;
}

function causesOf(error: Error): string[] {
  const messages: string[] = [];
  // Bounded: a cause chain may be a ring.
  for (let cause = error.cause; cause instanceof Error && messages.length < 8; cause = cause.cause) {
    messages.push(cause.message);
  }
  return messages;
}

/** Judges any thrown value. Bugs keep their stack, because that is what their report needs. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TouchstoneError) {
    return {
      code: error.code,
      message: error.message,
      now: ERROR_CODES[error.code],
      causes: causesOf(error),
      exit: error.code === 'USAGE' ? EXIT.usage : EXIT.failed,
    };
  }
  if (!(error instanceof Error)) {
    return {
      code: null,
      message: `thrown: ${String(error)}`,
      now: 'please report this',
      causes: [],
      exit: EXIT.failed,
    };
  }
  if ('syscall' in error && 'code' in error && typeof error.code === 'string') {
    const now = 'the operating system refused; the message names the call and the path';
    return { code: error.code, message: error.message, now, causes: causesOf(error), exit: EXIT.failed };
  }
  const now = 'this is a fault of touchstone itself; please report it with the lines above';
  return { code: null, message: error.stack ?? error.message, now, causes: causesOf(error), exit: EXIT.failed };
}

/** Prints the failure (stderr; with `json` also one document on stdout) and returns the exit code. */
export function reportFailure(error: unknown, options: { json: boolean }): ExitCode {
  const failure = failureOf(error);
  const lines = [`touchstone: ${failure.message}`];
  for (const cause of failure.causes) lines.push(`  because: ${cause}`);
  lines.push(`  what to do: ${failure.now}`);
  process.stderr.write(`${lines.map((line) => cleanText(line, { keepNewlines: true })).join('\n')}\n`);
  if (options.json) {
    const { code, message, now, causes } = failure;
    process.stdout.write(`${JSON.stringify({ error: { code, message, now, causes } }, null, 2)}\n`);
  }
  return failure.exit;
}
