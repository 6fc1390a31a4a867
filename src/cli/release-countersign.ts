// `touchstone release countersign`: a second publisher reads every byte of a release, and signs its passport too.
import { join } from 'node:path';
import type { Command } from 'commander';
import { parseDsse, verifyDsse } from '../crypto/dsse.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { TouchstoneError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { HashPool } from '../files/hash-pool.ts';
import { CHECKS_BEFORE_COUNTERSIGNING, countersignPassport } from '../release/countersign.ts';
import { IN_TOTO_TYPE } from '../release/oms-statement.ts';
import { keyTableOf, openReleaseWith, PASSPORT_FILE_BYTES } from '../release/open.ts';
import { MODEL_FOLDER, PASSPORT_FILE, readSignedFiles } from '../release/release-folder.ts';
import { verifyModelFolder } from '../release/verified.ts';
import type { Finding } from '../rules/finding.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { trustIn } from './fleet-folder.ts';
import { interruptible } from './interrupt.ts';
import { readPrivateKey } from './keys.ts';
import { cleanText, outputOf } from './output.ts';
import type { Output } from './output.ts';
import { ProgressBar } from './progress.ts';

export interface CountersignOptions {
  readonly fleet: string;
  readonly key: string;
}

function refuse(output: Output, dir: string, findings: readonly Finding[]): void {
  process.exitCode = EXIT.against;
  output.result({ release: null, dir, findings: findingDocuments(findings) }, () =>
    [output.paint('red', `not signed: ${cleanText(dir)}`), ...findingLines(output, findings)].join('\n'),
  );
}

/** `touchstone release countersign`. */
export async function countersign(dir: string, options: CountersignOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const trust = await trustIn(options.fleet);
  const key = await readPrivateKey(options.key, output.note);
  const files = await readSignedFiles(dir);
  const opened = openReleaseWith(CHECKS_BEFORE_COUNTERSIGNING, { ...files, ...keyTableOf(trust.root) });
  if (!opened.ok || files.passport === null) {
    refuse(output, dir, opened.ok ? [] : opened.findings);
    return;
  }
  const { release } = opened;
  const { modelId } = release.passport;
  const publishers = trust.publishersFor(modelId);
  if (!publishers.has(keyId(key))) {
    throw new TouchstoneError('USAGE', `${options.key} is no publisher of ${modelId}: its signature would not count`);
  }
  await using pool = new HashPool();
  using bar = new ProgressBar({ label: 'verifying' });
  const onProgress = (more: number): void => {
    bar.advance(more);
  };
  const read = await interruptible(async (signal) =>
    verifyModelFolder(join(dir, MODEL_FOLDER), release, pool, { onProgress, signal }),
  );
  if (!read.ok) {
    refuse(output, dir, read.findings);
    return;
  }
  const passport = countersignPassport(files.passport, key);
  await writeFileDurably(join(dir, PASSPORT_FILE), passport, 0o644);
  const signedBy = verifyDsse(parseDsse(passport, PASSPORT_FILE_BYTES), IN_TOTO_TYPE, publishers)?.signedBy ?? [];
  const asked = (trust.root.releaseThresholds ?? []).filter((one) => one.modelId === modelId);
  const needed = Math.max(1, ...asked.map((one) => one.threshold));
  const document = { release: release.id, dir, signedBy: [...signedBy], needed, complete: signedBy.length >= needed };
  output.result({ ...document, findings: [] }, () =>
    [
      output.paint('green', `signed release ${release.id}`),
      `  ${cleanText(modelId)} ${cleanText(release.passport.version)}: ${signedBy.length} publishers have signed, ${needed} must`,
    ].join('\n'),
  );
}
