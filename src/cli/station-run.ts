// `touchstone station sign|show`: from what a line read to a signed batch, and a batch judged and written out.
import { randomBytes } from 'node:crypto';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { timeText, toHex } from '../bytes/text.ts';
import { EkTrustFolder } from '../controller/ek-trust.ts';
import { checkLine } from '../controller/line-check.ts';
import type { PlacedEntry, PlacedFault } from '../controller/line-check.ts';
import { readLineList } from '../controller/line-list.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { BATCH_MAX, batchFaults, batchFindings, openBatch, signBatch } from '../release/batch.ts';
import type { EkBatch } from '../release/batch.ts';
import { batchTable } from './batch-text.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { trustIn } from './fleet-folder.ts';
import { readPrivateKey } from './keys.ts';
import { cleanText, outputOf } from './output.ts';
import type { Json } from './output.ts';

export interface StationSignOptions {
  readonly fleet: string;
  readonly key: string;
  readonly profile: readonly string[];
  readonly ekRoots: string;
  readonly out: string;
  readonly expiresDays: number;
  readonly uncertified?: true;
  readonly demandCrls?: true;
}

export interface ShowOptions {
  readonly fleet: string;
  readonly csv?: string;
}

const DAY_MS = 86_400_000;
/** Faults that people are shown; --json has all. */
const SHOWN = 40;

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

async function bytesOf(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
}

/** The files that are meant: a folder stands for the .json and .csv files in it. */
async function filesOf(names: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const name of names) {
    const found = await stat(name).catch((cause: unknown) => {
      throw new ConfigError('CONFIG_MISSING', `cannot read ${name}`, { cause });
    });
    if (!found.isDirectory()) files.push(name);
    else {
      const inside = (await readdir(name)).filter((one) => /\.(?:json|csv)$/u.test(one) && !one.startsWith('.'));
      if (inside.length === 0) usage(`${name} holds no .json and no .csv file`);
      files.push(...inside.toSorted().map((one) => join(name, one)));
    }
  }
  return files;
}

async function readLines(files: readonly string[]): Promise<{ entries: PlacedEntry[]; faults: PlacedFault[] }> {
  const entries: PlacedEntry[] = [];
  const faults: PlacedFault[] = [];
  for (const file of files) {
    const list = readLineList(
      await bytesOf(file),
      basename(file)
        .replace(/\.json$/u, '')
        .slice(0, 64),
    );
    entries.push(...list.entries.map((one) => ({ ...one, file })));
    faults.push(...list.faults.map((one) => ({ ...one, file })));
    if (entries.length > BATCH_MAX) usage(`more than ${BATCH_MAX} devices: sign them as several batches`);
  }
  return { entries, faults };
}

/** `touchstone station sign`. */
export async function signLine(names: readonly string[], options: StationSignOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { out } = options;
  const isThere = await access(out).then(
    () => true,
    () => false,
  );
  if (isThere) throw new ConfigError('ALREADY_THERE', `${out} is there already`);
  const { root } = await trustIn(options.fleet);
  const key = await readPrivateKey(options.key, output.note);
  const now = Date.now();
  const read = await readLines(await filesOf(names));
  const checked = checkLine(read.entries, {
    trust: new EkTrustFolder(options.ekRoots).current(),
    now,
    uncertified: options.uncertified === true,
    crlsDemanded: options.demandCrls === true,
  });
  const faults = [...read.faults, ...checked.faults];
  if (faults.length > 0 || checked.entries.length === 0) {
    process.exitCode = EXIT.against;
    output.result({ file: null, devices: checked.entries.length, faults: faults as unknown as Json }, () =>
      [
        output.paint(
          'red',
          `not signed: ${faults.length} of ${read.entries.length + read.faults.length} must not pass`,
        ),
        ...faults.slice(0, SHOWN).map(({ file, line, message }) => `  ${cleanText(`${file}:${line}: ${message}`)}`),
        ...(faults.length > SHOWN ? [`  and ${faults.length - SHOWN} more: see --json`] : []),
      ].join('\n'),
    );
    return;
  }
  const batch: EkBatch = {
    v: 1,
    fleetId: root.fleetId,
    id: toHex(randomBytes(16)),
    issuedAt: now,
    expires: now + options.expiresDays * DAY_MS,
    profiles: [...new Set(options.profile)],
    count: checked.entries.length,
    entries: checked.entries,
  };
  // What no controller would take is not signed in the first place.
  const [wrong] = batchFaults({ batch, signers: [keyId(key)], root, now });
  if (wrong !== undefined)
    usage(`no controller would take it: ${wrong.rule}: expected ${wrong.expected}, found ${wrong.found}`);
  await writeFileDurably(out, signBatch(batch, key), 0o644);
  const without = batch.entries.filter(({ certificate }) => certificate === null).length;
  output.result(
    { file: out, batch: batch.id, devices: batch.count, uncertified: without, expires: batch.expires },
    () =>
      [
        output.paint('green', `signed ${cleanText(out)}: batch ${batch.id}, ${batch.count} devices`),
        ...(without > 0
          ? [output.paint('yellow', `  ${without} of them without a vendor's certificate that counts`)]
          : []),
        `  they may enrol as ${batch.profiles.join(' or ')} until ${timeText(batch.expires)}`,
        '',
        `Next: touchstone device allow --import ${cleanText(out)} --state CONTROLLER_STATE`,
      ].join('\n'),
  );
}

/** `touchstone station show`. */
export async function showBatch(file: string, options: ShowOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { root } = await trustIn(options.fleet);
  const opened = openBatch(await bytesOf(file), root);
  const faults = 'fault' in opened ? [opened.fault] : batchFaults({ ...opened, root, now: Date.now() });
  const findings = batchFindings(faults);
  if (faults.length > 0) process.exitCode = EXIT.against;
  const batch = 'fault' in opened ? null : opened.batch;
  const signers = 'fault' in opened ? [] : opened.signers;
  if (options.csv !== undefined && batch !== null) {
    await writeFileDurably(options.csv, batchTable([{ batch, signers, withdrawn: false }]), 0o644);
  }
  output.result(
    {
      file,
      counts: faults.length === 0,
      findings: findingDocuments(findings),
      signers: [...signers],
      batch: batch as unknown as Json,
    },
    () => {
      const verdict =
        faults.length === 0 ? output.paint('green', 'it counts') : output.paint('red', 'it counts for nothing');
      const what =
        batch === null
          ? []
          : [
              `  batch ${batch.id}: ${batch.count} devices as ${batch.profiles.join(' or ')}, until ${timeText(batch.expires)}`,
              `  signed by ${signers.join(', ')}`,
            ];
      return [`${cleanText(file)}: ${verdict}`, ...what, ...findingLines(output, findings)].join('\n');
    },
  );
}
