// `touchstone device allow`: endorsement keys that are let in before their devices come, one by one or as a factory's list.
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { AllowedEk } from '../controller/allow-list.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { askController } from '../controller/control-client.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json } from './output.ts';

/** Keys in one request to the controller. */
const AT_ONCE = 1000;

export interface AllowOptions {
  readonly state: string;
  readonly note: string;
  readonly pinned?: true;
  readonly remove?: true;
}

interface Listed {
  readonly entries: readonly AllowedEk[];
}

/** Entries of a list as `device allow --json` shows it. Errors: ConfigError CONFIG_INVALID. */
async function entriesIn(file: string): Promise<readonly AllowedEk[]> {
  const { parseJsonStrict } = await import('../bytes/json-strict.ts');
  const { parseFile, v } = await import('../bytes/shape.ts');
  const { allowedEksShape, ALLOW_LIST_LIMITS } = await import('../controller/allow-list.ts');
  try {
    const document = parseJsonStrict(readFileSync(file), ALLOW_LIST_LIMITS);
    return parseFile(v.object({ entries: allowedEksShape }), document, file, 'CONFIG_INVALID').entries;
  } catch (cause) {
    if (cause instanceof WireError) throw new ConfigError('CONFIG_INVALID', `${file}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The action of the command. Errors: TouchstoneError. */
export async function allowKeys(key: string | undefined, options: AllowOptions, command: Command): Promise<void> {
  const { state, note, pinned = false, remove = false } = options;
  const output = outputOf(command);
  if (key !== undefined && remove) {
    await askController(state, 'disallow', { ekName: key.toLowerCase() });
  } else if (key !== undefined) {
    const isName = /^[0-9a-f]{68,100}$/i.test(key);
    if (!isName && !existsSync(key)) {
      throw new TouchstoneError('USAGE', `${key} is neither a TPM Name in hex nor a file: see touchstone tpm info`);
    }
    const entries = isName ? [{ ekName: key.toLowerCase(), note, pinned }] : await entriesIn(key);
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      const part = { entries: entries.slice(at, at + AT_ONCE) };
      const { admitted } = (await askController(state, 'allow', part)) as { admitted: readonly string[] };
      for (const id of admitted) output.note(`let in, it was waiting: ${id}`);
    }
  }
  const listed = (await askController(state, 'allowed', {})) as Listed;
  output.result(listed as unknown as Json, () =>
    listed.entries.length === 0
      ? 'no endorsement key is let in beforehand'
      : listed.entries
          .map((one) => `${one.ekName}  ${cleanText(one.note)}${one.pinned ? '  (pinned)' : ''}`)
          .join('\n'),
  );
}
