// The profile's word on formats: which kinds of files a model may be made of, each with a header that holds together.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import type { TreeFile } from '../../files/tree.ts';
import type { ModelFormat } from '../../profile/profile.ts';
import { shown } from '../../release/judgement.ts';
import type { ReleaseFault } from '../../release/judgement.ts';
import { codeIn, HEAD_BYTES } from './code.ts';
import { bytesOfFile, FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';
import { checkGguf } from './gguf.ts';
import { checkOnnx } from './onnx.ts';
import { checkOpenvino } from './openvino.ts';
import { checkSafetensors } from './safetensors.ts';
import { checkTflite } from './tflite.ts';

const FORMATS: ReadonlyMap<string, ModelFormat> = new Map([
  ['.safetensors', 'safetensors'],
  ['.onnx', 'onnx'],
  ['.tflite', 'tflite'],
  ['.gguf', 'gguf'],
  ['.xml', 'openvino'],
]);
/** Numbers that another file describes. */
const RAW = new Set(['.bin', '.data', '.weights']);
/** What is read by people or as a list. */
const TEXT = new Set([
  '.txt',
  '.md',
  '.json',
  '.jsonl',
  '.yaml',
  '.yml',
  '.csv',
  '.tsv',
  '.labels',
  '.names',
  '.license',
]);
const TEXT_NAMES = /(?:^|\/)(?:LICENSE|NOTICE|README|COPYING)$/;

/** The name of the format by a mark in the first bytes, where it has one. */
function markedAs(head: Buffer): ModelFormat | null {
  if (head.subarray(0, 4).toString('latin1') === 'GGUF') return 'gguf';
  return head.subarray(4, 8).toString('latin1') === 'TFL3' ? 'tflite' : null;
}

/** Sizes of the model's files by their path from the folder of `path`. */
function sizesAround(path: string, files: readonly TreeFile[]): ReadonlyMap<string, number> {
  return new Map(files.map((file) => [relative(dirname(path), file.path), file.size]));
}

async function checkHeader(format: ModelFormat, path: string, bytes: Bytes, files: readonly TreeFile[]): Promise<void> {
  if (format === 'onnx') await checkOnnx(bytes, sizesAround(path, files));
  else if (format === 'safetensors') await checkSafetensors(bytes);
  else if (format === 'gguf') await checkGguf(bytes);
  else if (format === 'tflite') await checkTflite(bytes);
  else {
    const weights = `${path.slice(0, -'.xml'.length)}.bin`;
    await checkOpenvino(bytes, files.find((file) => file.path === weights)?.size ?? null);
  }
}

async function judgeFile(
  path: string,
  bytes: Bytes,
  files: readonly TreeFile[],
  allowed: readonly ModelFormat[],
): Promise<ReleaseFault | null> {
  const refused = (found: string): ReleaseFault => ({
    rule: 'release-format',
    expected: `models as ${allowed.join(', ')}, and no code`,
    found: shown(`${path}: ${found}`),
  });
  const extension = extname(path).toLowerCase();
  const head = await bytes.read(0, Math.min(HEAD_BYTES, bytes.size));
  const code = codeIn(head, RAW.has(extension));
  if (code !== null) return refused(code);
  const [named, marked] = [FORMATS.get(extension) ?? null, markedAs(head)];
  const format = named ?? marked;
  if (format === null) {
    const plain = RAW.has(extension) || TEXT.has(extension) || TEXT_NAMES.test(path);
    return plain ? null : refused('a kind of file that no model needs');
  }
  if (!allowed.includes(format)) return refused(format);
  try {
    if (marked !== null && marked !== format) throw new FormatError(`is ${marked}`);
    await checkHeader(format, path, bytes, files);
    return null;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const expected = `a well-formed ${format} file`;
    return { rule: 'release-format-header', expected, found: shown(`${path}: ${error.message}`) };
  }
}

/** Judges the files of a model whose bytes were verified. `folder`: where they lie. Null `allowed`: the profile does not care. */
export async function judgeFormats(
  folder: string,
  files: readonly TreeFile[],
  allowed: readonly ModelFormat[] | null,
): Promise<ReleaseFault[]> {
  if (allowed === null) return [];
  const faults: ReleaseFault[] = [];
  for (const { path, size } of files) {
    const handle = await open(join(folder, path), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const fault = await judgeFile(path, bytesOfFile(handle, size), files, allowed);
      if (fault !== null) faults.push(fault);
    } finally {
      await handle.close();
    }
    // A person needs the first few.
    if (faults.length >= 64) break;
  }
  return faults;
}
