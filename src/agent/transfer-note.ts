// STATE/transfer.json: which release is being fetched and how much of it is there; for people, and gone when nothing is fetched.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { WireError } from '../errors.ts';

export interface TransferNote {
  readonly v: 1;
  readonly slot: string;
  readonly release: string;
  /** Bytes of the model that are on the device, of so many. */
  readonly there: number;
  readonly of: number;
}

const shape: Shape<TransferNote> = v.object({
  v: v.literal(1),
  slot: name,
  release: text(128),
  there: uint(),
  of: uint(),
});

const pathOf = (stateDir: string): string => join(stateDir, 'transfer.json');

/** Replaces the note; null: nothing is being fetched. A power cut may leave an old one: the next start removes it. */
export async function writeTransferNote(stateDir: string, note: TransferNote | null): Promise<void> {
  const path = pathOf(stateDir);
  if (note === null) {
    await rm(path, { force: true });
    return;
  }
  await writeFile(`${path}.new`, `${JSON.stringify(note)}\n`, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

/** What is being fetched; null when nothing is, or when it cannot be read. */
export async function readTransferNote(stateDir: string): Promise<TransferNote | null> {
  const bytes = await readFile(pathOf(stateDir)).catch(() => null);
  if (bytes === null) return null;
  try {
    return parseShape(shape, parseJsonStrict(bytes), 'transfer');
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
