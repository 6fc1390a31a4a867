// `touchstone device allow`: endorsement keys that are let in before their devices come, one by one or as a factory's list.
import { dayText } from '../bytes/text.ts';
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Expected } from '../controller/admission-office.ts';
import type { AllowedEk } from '../controller/allow-list.ts';
import type { BatchTaken, BatchView } from '../controller/batch-shelf.ts';
import type { DsseEnvelope } from '../crypto/dsse.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { askController } from '../controller/control-client.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json, Output } from './output.ts';

/** Keys in one request to the controller. */
const AT_ONCE = 1000;

export interface AllowOptions {
  readonly state: string;
  readonly note: string;
  readonly pinned?: true;
  readonly remove?: true;
  readonly import?: string;
  readonly export?: string;
}

/** Repeated keys that people are shown; --json has all. */
const SHOWN = 20;

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

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

/** False when the controller refused the batch, which it then says. */
async function importBatch(file: string, state: string, output: Output): Promise<boolean> {
  const { BATCH_BYTES } = await import('../release/batch.ts');
  const bytes = existsSync(file) ? readFileSync(file) : usage(`cannot read ${file}`);
  if (bytes.length > BATCH_BYTES) usage(`${file} is longer than ${BATCH_BYTES} bytes, so it is no batch`);
  const answer = await askController(state, 'batch', { file: bytes.toString('utf8') });
  const taken = answer as BatchTaken & { readonly admitted: readonly string[] };
  if ('refused' in taken) {
    const { findingDocuments, findingLines } = await import('./findings.ts');
    process.exitCode = EXIT.against;
    output.result({ file, refused: findingDocuments(taken.refused) }, () =>
      [output.paint('red', `refused: ${cleanText(file)}`), ...findingLines(output, taken.refused)].join('\n'),
    );
    return false;
  }
  for (const id of taken.admitted) output.note(`let in, it was waiting: ${id}`);
  const { again } = taken;
  for (const { ekName, serial } of again.slice(0, SHOWN)) {
    output.note(`also in another batch: ${ekName}${serial === undefined ? '' : cleanText(` (${serial})`)}`);
  }
  if (again.length > SHOWN) output.note(`and ${again.length - SHOWN} more are in another batch`);
  return true;
}

/** Everything that lets keys in, for an auditor: the batches as they were signed, or all keys as a table. */
async function exportAll({ entries, batches }: Expected, file: string, state: string): Promise<void> {
  const { writeFileDurably } = await import('../files/durable.ts');
  const { parseDsse } = await import('../crypto/dsse.ts');
  const { parseJsonStrict } = await import('../bytes/json-strict.ts');
  const { parseShape } = await import('../bytes/shape.ts');
  const { BATCH_BYTES, batchShape } = await import('../release/batch.ts');
  const limits = { maxBytes: BATCH_BYTES, maxDepth: 8 };
  const files: { view: BatchView; envelope: DsseEnvelope }[] = [];
  for (const view of batches) {
    const { file: text } = (await askController(state, 'batch-file', { id: view.id })) as { file: string };
    files.push({ view, envelope: parseDsse(Buffer.from(text), BATCH_BYTES) });
  }
  if (!file.endsWith('.csv')) {
    const document = { entries, batches: files.map(({ view, envelope }) => ({ ...view, envelope })) };
    return writeFileDurably(file, `${JSON.stringify(document, null, 1)}\n`, 0o644);
  }
  const { batchTable } = await import('./batch-text.ts');
  const tabled = files.map(({ view: { signers, withdrawn }, envelope }) => {
    const payload = parseJsonStrict(Buffer.from(envelope.payload, 'base64'), limits);
    return { batch: parseShape(batchShape, payload, 'batch'), signers, withdrawn };
  });
  return writeFileDurably(file, batchTable(tabled, entries), 0o644);
}

function batchLine(output: Output, { id, count, profiles, expires, withdrawn, faults }: BatchView): string {
  const end = dayText(expires);
  const why = withdrawn ? 'taken back' : faults.map(({ rule, found }) => `${rule}: ${cleanText(found)}`).join('; ');
  const state = why === '' ? output.paint('green', `until ${end}`) : output.paint('red', why);
  return `batch ${id}  ${count} keys as ${profiles.join(' or ')}  ${state}`;
}

/** The action of the command. Errors: TouchstoneError. */
export async function allowKeys(key: string | undefined, options: AllowOptions, command: Command): Promise<void> {
  const { state, note, pinned = false, remove = false } = options;
  const output = outputOf(command);
  if (options.import !== undefined) {
    if (key !== undefined) usage('give a key or --import, not both');
    if (!(await importBatch(options.import, state, output))) return;
  } else if (key !== undefined && remove) {
    await askController(state, 'disallow', { name: key.toLowerCase() });
  } else if (key !== undefined) {
    const isName = /^[0-9a-f]{68,100}$/i.test(key);
    if (!isName && !existsSync(key)) {
      usage(`${key} is neither a TPM Name in hex nor a file: see touchstone tpm info`);
    }
    const entries = isName ? [{ ekName: key.toLowerCase(), note, pinned }] : await entriesIn(key);
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      const part = { entries: entries.slice(at, at + AT_ONCE) };
      const { admitted } = (await askController(state, 'allow', part)) as { admitted: readonly string[] };
      for (const id of admitted) output.note(`let in, it was waiting: ${id}`);
    }
  }
  const listed = (await askController(state, 'allowed', {})) as Expected;
  if (options.export !== undefined) await exportAll(listed, options.export, state);
  output.result(listed as unknown as Json, () =>
    listed.entries.length + listed.batches.length === 0
      ? 'no endorsement key is let in beforehand'
      : [
          ...listed.entries.map((one) => `${one.ekName}  ${cleanText(one.note)}${one.pinned ? '  (pinned)' : ''}`),
          ...listed.batches.map((one) => batchLine(output, one)),
        ].join('\n'),
  );
}
