// `touchstone bundle make`: one file with everything that a device without a network needs for an upgrade.
import { timeText } from '../bytes/text.ts';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { askController } from '../controller/control-client.ts';
import type { MadeBundle } from '../controller/bundle-office.ts';
import { ReleaseError, TouchstoneError } from '../errors.ts';
import { ustarHeader, ustarPadding, USTAR_END } from '../files/ustar.ts';
import { bundleEntries, modelEntry } from '../protocol/bundle.ts';
import { hashOfType } from '../release/oms-resources.ts';
import type { OmsFile } from '../release/oms-types.ts';
import { keyTableOf, openRelease } from '../release/open.ts';
import type { SignedRelease } from '../release/open.ts';
import {
  FLOOR_TOKEN_BYTES,
  FLOOR_TOKEN_FILE,
  MODEL_FOLDER,
  readBounded,
  readSignedFiles,
} from '../release/release-folder.ts';
import { ByteCheck } from '../transfer/byte-check.ts';
import { interruptible } from './interrupt.ts';
import { cleanText, humanBytes, outputOf } from './output.ts';
import { ProgressBar } from './progress.ts';
import { trustOf } from './release-fleet.ts';

export interface BundleMakeOptions {
  readonly state: string;
  readonly release: string;
  readonly slot?: string;
  readonly out: string;
  readonly validFor: number;
}

const DAY_MS = 86_400_000;
const BLOCK = 1024 * 1024;

/** The release that the controller has, opened by what its root says now. Errors: ReleaseError. */
async function signedRelease(
  folder: string,
  state: string,
): Promise<{ readonly release: SignedRelease; readonly sig: Buffer; readonly passport: Buffer }> {
  const { sig, passport } = await readSignedFiles(folder);
  const trust = await trustOf(state);
  const opened = openRelease({ sig, passport, ...keyTableOf(trust.root) });
  if (!opened.ok || sig === null || passport === null) {
    const why = opened.ok ? 'its signatures are gone' : (opened.findings[0]?.rule ?? 'it does not open');
    throw new ReleaseError('RELEASE_INVALID', `${folder}: ${why}`);
  }
  return { release: opened.release, sig, passport };
}

/** One file of the model: read once, and held against what is signed while it is written. Errors: ReleaseError. */
async function writeFile(
  to: FileHandle,
  name: string,
  path: string,
  check: ByteCheck,
  step: (bytes: number) => void,
): Promise<void> {
  const from = await open(path).catch((cause: unknown) => {
    throw new ReleaseError('RELEASE_INVALID', `${path} cannot be read`, { cause });
  });
  try {
    const { size } = await from.stat();
    await to.write(ustarHeader(name, size));
    const block = Buffer.allocUnsafe(BLOCK);
    for (let left = size; left > 0;) {
      const { bytesRead } = await from.read(block, 0, Math.min(BLOCK, left));
      if (bytesRead === 0) throw new ReleaseError('RELEASE_INVALID', `${path} became shorter while it was read`);
      const piece = block.subarray(0, bytesRead);
      check.update(piece);
      await to.writeFile(piece);
      left -= bytesRead;
      step(bytesRead);
    }
    const fault = check.end();
    if (fault !== null) throw new ReleaseError('RELEASE_INVALID', `${path} is not as it was signed`);
    await to.write(ustarPadding(size));
  } finally {
    await from.close();
  }
}

function pathOf(file: OmsFile, { statement }: SignedRelease): string {
  return file.path === '.' ? statement.subject.name : file.path;
}

async function fill(to: FileHandle, made: MadeBundle, state: string, signal: AbortSignal): Promise<void> {
  const { release, sig, passport } = await signedRelease(made.folder, state);
  const token = await readBounded(join(made.folder, FLOOR_TOKEN_FILE), FLOOR_TOKEN_BYTES);
  const [root, instruction, challenge] = [made.root, made.instruction, made.challenge].map((text) =>
    Buffer.from(text, 'base64'),
  );
  if (root === undefined || instruction === undefined || challenge === undefined) throw new TypeError('three');
  for (const { name, bytes } of bundleEntries({ root, instruction, challenge, passport, sig, token })) {
    await to.writeFile(Buffer.concat([ustarHeader(name, bytes.length), bytes, ustarPadding(bytes.length)]));
  }
  const algorithm = hashOfType(release.statement.serialization.hash_type);
  if (algorithm === undefined) throw new TypeError('an opened release has a hash that we know');
  using bar = new ProgressBar({ label: 'writing' });
  for (const [index, file] of release.statement.files.entries()) {
    signal.throwIfAborted();
    const path = join(made.folder, MODEL_FOLDER, pathOf(file, release));
    await writeFile(to, modelEntry(index), path, new ByteCheck(file, algorithm), (bytes) => {
      bar.advance(bytes, file.path);
    });
  }
  await to.writeFile(USTAR_END);
}

/** Writes the file as a whole or not at all, and on the disk: whoever pulls the stick out then has it. Answers its length. */
async function write(out: string, made: MadeBundle, state: string): Promise<number> {
  const to = await open(out, 'wx', 0o644).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EEXIST') throw new TouchstoneError('ALREADY_THERE', `${out} is there already`, { cause });
    throw new TouchstoneError('USAGE', `${out} cannot be written`, { cause });
  });
  try {
    await interruptible(async (signal) => fill(to, made, state, signal));
    await to.sync();
    return (await to.stat()).size;
  } catch (error) {
    await rm(out, { force: true });
    throw error;
  } finally {
    await to.close();
  }
}

/** `touchstone bundle make`. */
export async function makeBundle(device: string, options: BundleMakeOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { state, release, slot = null, out, validFor } = options;
  const wish = { device, release, slot, validForMs: Math.round(validFor * DAY_MS) };
  const made = (await askController(state, 'bundle', wish)) as MadeBundle;
  const bytes = await write(out, made, state);
  const { folder: _folder, root: _root, instruction: _instruction, challenge: _challenge, ...about } = made;
  const next = `touchstone bundle apply ${out} --receipt RECEIPT`;
  output.result({ ...about, file: out, bytes, next }, () =>
    [
      output.paint('green', `${cleanText(out)}: release ${made.release.slice(0, 12)} for slot ${made.slot}`),
      `  device   ${made.device}`,
      `  size     ${humanBytes(bytes)}`,
      `  good     until ${timeText(made.notAfter)}, and until a newer upgrade of this slot is taken`,
      '',
      `Next, on the device: ${cleanText(next)}`,
      'The receipt counts as long as nothing newer of the device has reached this controller.',
    ].join('\n'),
  );
}
