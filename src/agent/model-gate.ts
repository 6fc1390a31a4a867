// The agent's way to the gate: what a slot should hold, and the outcome of an installation in the words of a report.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from '../rules/finding.ts';
import { openRelease } from '../release/open.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Trust } from '../release/root.ts';
import type { Journal } from '../store/journal.ts';

/** A file's bytes; null when it is not there or can't be read: what then is missing is judged, not thrown. */
export async function readOrNull(path: string): Promise<Buffer | null> {
  return readFile(path).catch(() => null);
}

/** The signed release that `slot` should hold: the journal's word, opened again under the root's present key table. */
export async function expectedRelease(
  parts: { readonly journal: Pick<Journal, 'slots'>; readonly stateDir: string; readonly trust: Trust },
  slot: string,
): Promise<SignedRelease | null> {
  const row = (await parts.journal.slots()).find((one) => one.slot === slot);
  const active = row?.active ?? null;
  if (active === null) return null;
  const folder = join(parts.stateDir, 'releases', active);
  const [sig, passport] = await Promise.all([
    readOrNull(join(folder, 'model.sig')),
    readOrNull(join(folder, 'passport.json')),
  ]);
  const { publishers, revoked } = parts.trust.root;
  const opened = openRelease({ sig, passport, publishers, revoked, subject: slot });
  return opened.ok && opened.release.id === active ? opened.release : null;
}

/** The findings of a refusal as one line: each rule with what was expected and found. */
export function findingsText(findings: readonly Finding[]): string {
  return findings.map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`).join('; ');
}
