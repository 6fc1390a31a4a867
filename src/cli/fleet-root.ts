// `touchstone fleet show|sign|publish`: a root statement from hand to hand, and at last to the devices.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { STATE_FILES } from '../controller/settings.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { encodeRootFile, parseRootFile } from '../release/root-chain.ts';
import { proposalAfter, readProposal } from '../release/root-change.ts';
import type { RootProposal } from '../release/root-change.ts';
import { countersignRoot } from '../release/root-keys.ts';
import { rootSigners } from '../release/root-link.ts';
import { extendTrust, judgeRoot, readFleetFile } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { readFleetFolder, trustIn } from './fleet-folder.ts';
import { endWarning, proposalDocument, proposalLines, rootDocument, rootLines } from './fleet-text.ts';
import { readPrivateKey } from './keys.ts';
import { cleanText, outputOf } from './output.ts';
import type { Output } from './output.ts';
import type { Finding } from '../rules/finding.ts';

export interface FleetPlace {
  readonly fleet: string;
}

export interface SignOptions extends FleetPlace {
  readonly key: string;
}

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

/** What changes and who still has to sign, with what to type next. */
export function showProposal(output: Output, proposal: RootProposal, file: string): void {
  const next = proposal.complete
    ? `touchstone fleet publish ${file} --to CONTROLLER_STATE`
    : `touchstone fleet sign ${file} --key ROOT_KEY --fleet DIR`;
  output.result({ file, ...proposalDocument(proposal, Date.now()), next }, () =>
    [
      ...proposalLines(output, proposal),
      `  in ${cleanText(file)}`,
      '',
      proposal.complete ? `Next: ${cleanText(next)}` : `Next, by another holder: ${cleanText(next)}`,
    ].join('\n'),
  );
}

function refuse(output: Output, findings: readonly Finding[], file: string): void {
  process.exitCode = EXIT.against;
  output.result({ file, complete: false, findings: findingDocuments(findings) }, () =>
    [output.paint('red', `refused: ${cleanText(file)}`), ...findingLines(output, findings)].join('\n'),
  );
}

/** `touchstone fleet sign`. */
export async function sign(file: string, options: SignOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const fleet = readFleetFile(await readFleetFolder(options.fleet, 'fleet'));
  const read = readProposal(fleet, await fileOf(file));
  if (!read.ok) {
    refuse(output, read.findings, file);
    return;
  }
  const { links, before, root, envelope } = read.proposal;
  const key = await readPrivateKey(options.key, output.note);
  const may = [...rootSigners(before).keys, ...rootSigners(root).keys];
  if (may.every((one) => one.id !== keyId(key))) {
    usage(`${options.key} is no root key of this fleet, or is revoked: its signature would not count`);
  }
  const signed = countersignRoot(envelope, key);
  await writeFileDurably(file, encodeRootFile([...links.map((link) => link.envelope), signed]), 0o644);
  showProposal(output, proposalAfter(links, signed, root), file);
}

async function fileOf(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${path}`, { cause });
  });
}

/** What a folder believes once it has read the file, or why it takes nothing of it. */
function nextTrust(trust: Trust, bytes: Uint8Array): { ok: true; trust: Trust } | { ok: false; findings: Finding[] } {
  const next = extendTrust(trust, bytes, Date.now());
  if (!next.ok || next.trust !== trust) return next;
  const inForce = trust.links.at(-1)?.envelope.payload;
  const judged = judgeRoot(trust.fleet, bytes, trust.version + 1);
  // Nothing newer: fine when it is the very statement that is in force, and never passed over in silence when it is another.
  const isSame = !judged.ok && parseRootFile(bytes).at(-1)?.payload === inForce;
  return isSame || judged.ok ? next : judged;
}

/** `touchstone fleet publish`. */
export async function publish(
  file: string,
  options: { readonly to: readonly string[] },
  command: Command,
): Promise<void> {
  const output = outputOf(command);
  const bytes = await fileOf(file);
  const places: { dir: string; before: Trust; after: Trust }[] = [];
  // Judged for all before the first is written.
  for (const dir of options.to) {
    const before = await trustIn(dir);
    const next = nextTrust(before, bytes);
    if (!next.ok) {
      refuse(output, next.findings, file);
      return;
    }
    places.push({ dir, before, after: next.trust });
  }
  for (const { dir, before, after } of places) {
    if (after === before) continue;
    const envelopes = after.links.map((link) => link.envelope);
    await writeFileDurably(join(dir, STATE_FILES.root), encodeRootFile(envelopes), 0o644);
  }
  const done = places.map(({ dir, before, after }) => ({ dir, before: before.version, version: after.version }));
  output.result({ file, places: done }, () =>
    done
      .map(({ dir, before, version }) =>
        before === version
          ? `${cleanText(dir)} has root statement ${version} already`
          : output.paint('green', `${cleanText(dir)}: root statement ${before} → ${version}`),
      )
      .join('\n'),
  );
}

/** `touchstone fleet show`. */
export async function show(file: string | undefined, options: FleetPlace, command: Command): Promise<void> {
  const output = outputOf(command);
  const now = Date.now();
  if (file === undefined) {
    const { root } = await trustIn(options.fleet);
    const warning = endWarning(root, now);
    if (warning !== null) output.note(warning);
    output.result({ ...rootDocument(root, now), warning }, () => rootLines(output, root).join('\n'));
    return;
  }
  const read = readProposal(readFleetFile(await readFleetFolder(options.fleet, 'fleet')), await fileOf(file));
  if (read.ok) showProposal(output, read.proposal, file);
  else refuse(output, read.findings, file);
}
