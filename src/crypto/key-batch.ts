// Signatures to check and to make, many in one message to another thread: packed bytes, because cloning objects costs more than the work.
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** One question to a key. With `signature` it is checked over `data`, without one is made. */
export interface KeyTask {
  /** By which the other thread knows the key. */
  readonly key: number;
  /** Node's name of the digest. */
  readonly digest: string;
  readonly data: Uint8Array;
  readonly signature: Uint8Array | null;
}

/** What goes to the thread: keys that it does not know yet, and tasks, packed. */
export interface KeyBatch {
  readonly keys: readonly (readonly [number, KeyObject])[];
  readonly tasks: ArrayBuffer;
}

/** Node's names of digests, by their number in a packed task. */
const DIGESTS = ['sha256', 'sha384', 'sha512', 'sha1'];

/** Head of a packed task: key (4), digest (1), length of data (4), 1 + length of the signature to check, or 0 (4). Big-endian. */
const HEAD_BYTES = 13;
/** An answer: length (2), then that many bytes: a signature, or one byte that is 1 for a valid one. */
const ANSWER_HEAD_BYTES = 2;

export function packTasks(tasks: readonly KeyTask[]): ArrayBuffer {
  let size = 0;
  for (const { data, signature } of tasks) size += HEAD_BYTES + data.length + (signature?.length ?? 0);
  const memory = new ArrayBuffer(size);
  const packed = Buffer.from(memory);
  let at = 0;
  for (const { key, digest, data, signature } of tasks) {
    const number = DIGESTS.indexOf(digest);
    if (number < 0) throw new RangeError(`digest ${digest} is not known`);
    packed.writeUInt32BE(key, at);
    packed.writeUInt8(number, at + 4);
    packed.writeUInt32BE(data.length, at + 5);
    packed.writeUInt32BE(signature === null ? 0 : 1 + signature.length, at + 9);
    at += HEAD_BYTES;
    packed.set(data, at);
    at += data.length;
    if (signature === null) continue;
    packed.set(signature, at);
    at += signature.length;
  }
  return memory;
}

/** Empty where the key can't do what is asked. */
function answerOf(key: KeyObject, digest: string, data: Uint8Array, signature: Uint8Array | null): Uint8Array {
  try {
    return signature === null ? sign(digest, data, key) : Uint8Array.of(Number(verify(digest, data, key, signature)));
  } catch {
    return new Uint8Array();
  }
}

/** Does all tasks of a batch, in their order; the answers, packed. */
export function doTasks(tasks: ArrayBuffer, keys: ReadonlyMap<number, KeyObject>): ArrayBuffer {
  const packed = Buffer.from(tasks);
  const answers: Uint8Array[] = [];
  let size = 0;
  for (let at = 0; at < packed.length;) {
    const key = keys.get(packed.readUInt32BE(at));
    const digest = DIGESTS[packed.readUInt8(at + 4)];
    if (key === undefined || digest === undefined) throw new TypeError('a task for a key that was never given');
    const dataEnd = at + HEAD_BYTES + packed.readUInt32BE(at + 5);
    const signed = packed.readUInt32BE(at + 9);
    const end = dataEnd + Math.max(0, signed - 1);
    const data = packed.subarray(at + HEAD_BYTES, dataEnd);
    const answer = answerOf(key, digest, data, signed === 0 ? null : packed.subarray(dataEnd, end));
    answers.push(answer);
    size += ANSWER_HEAD_BYTES + answer.length;
    at = end;
  }
  const memory = new ArrayBuffer(size);
  const out = Buffer.from(memory);
  let at = 0;
  for (const answer of answers) {
    out.writeUInt16BE(answer.length, at);
    out.set(answer, at + ANSWER_HEAD_BYTES);
    at += ANSWER_HEAD_BYTES + answer.length;
  }
  return memory;
}

/** The answers in the order of their tasks; they share the memory of `answers`. */
export function unpackAnswers(answers: ArrayBuffer): Buffer[] {
  const packed = Buffer.from(answers);
  const all: Buffer[] = [];
  for (let at = 0; at < packed.length;) {
    const start = at + ANSWER_HEAD_BYTES;
    const end = start + packed.readUInt16BE(at);
    all.push(packed.subarray(start, end));
    at = end;
  }
  return all;
}
