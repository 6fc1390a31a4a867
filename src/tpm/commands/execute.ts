// Builds a command from handles, authorisations and parameters, sends it, and checks the response before a byte of it is used.
import { createHash } from 'node:crypto';
import { Reader, Writer, type Codec } from '../../bytes/wire.ts';
import { WireError } from '../../errors.ts';
import type { CommandQueue, DeadlineClass } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { TPM_CC, TPM_ST, TPMA_SESSION } from '../wire/constants.ts';
import { handleName } from '../wire/names.ts';
import type { Authorization, ResponseAuth } from './authorization.ts';

/** A handle, with the Name by which sessions authenticate it: needed for objects and NV indices, implied for all others. */
export type Entity = number | { readonly handle: number; readonly name: Buffer };

export interface Call<T> {
  readonly command: keyof typeof TPM_CC;
  /** `short` by default. */
  readonly deadline?: DeadlineClass;
  readonly handles?: readonly Entity[];
  /** In the order of the handles they authorise, then sessions that only encrypt. */
  readonly auths?: readonly Authorization[];
  readonly parameters?: Buffer;
  /** The response begins with a handle. */
  readonly returnsHandle?: boolean;
  /** Reads the response parameters, all of them. `handle` is 0 where the response has none. */
  readonly read: (from: Reader, handle: number) => T;
}

/** For commands whose response has no parameters. */
export const nothing = (): void => {};

/** Writes parameters one after the other: `pack([u32, 5], [sized(64), auth])`. */
export function pack<T extends readonly unknown[]>(
  ...fields: { [K in keyof T]: readonly [Codec<T[K]>, T[K]] }
): Buffer {
  const to = new Writer();
  for (const [codec, value] of fields as readonly (readonly [Codec<unknown>, unknown])[]) codec.write(value, to);
  return to.bytes();
}

export function handleOf(entity: Entity): number {
  return typeof entity === 'number' ? entity : entity.handle;
}

/** TPM_HT of handles whose Name is the handle: PCR, sessions, permanent. Part 1, 16. */
const SELF_NAMED: ReadonlySet<number> = new Set([0x00, 0x02, 0x03, 0x40]);

function nameOf(entity: Entity): Buffer {
  if (typeof entity !== 'number') return entity.name;
  if (!SELF_NAMED.has(entity >>> 24))
    throw new TypeError(`handle 0x${entity.toString(16)} needs its Name in a session`);
  return handleName(entity);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function codeBytes(code: number): Buffer {
  return handleName(code);
}

/** The first parameter of a command or response must be a TPM2B to be encrypted: its size stays in clear. */
function changeFirst(parameters: Buffer, change: (contents: Buffer) => Buffer): Buffer {
  const from = new Reader(parameters, 'first parameter');
  const size = from.uint(2);
  const changed = change(from.take(size));
  return Buffer.concat([parameters.subarray(0, 2), changed, from.rest()]);
}

/** TPMS_AUTH_COMMAND of each authorisation, Part 2, 10.13.2. */
function authArea(auths: readonly Authorization[], cpHash: Buffer): Buffer {
  const to = new Writer();
  // Part 1, 19.6.5: the first session also authenticates the nonces of the sessions that encrypt, if they are others.
  const encrypting = [TPMA_SESSION.decrypt, TPMA_SESSION.encrypt].map((bit) => auths.find((a) => a.attributes & bit));
  const others = new Set(encrypting.filter((auth) => auth !== undefined && auth !== auths[0]));
  const otherNonces = Buffer.concat([...others].map((auth) => auth?.nonceTpm ?? Buffer.alloc(0)));
  for (const [index, auth] of auths.entries()) {
    const secret = auth.authorize(cpHash, index === 0 ? otherNonces : Buffer.alloc(0));
    to.uint(4, auth.handle);
    to.uint(2, auth.nonceCaller.length);
    to.put(auth.nonceCaller);
    to.uint(1, auth.attributes);
    to.uint(2, secret.length);
    to.put(secret);
  }
  return to.bytes();
}

function buildCommand<T>(call: Call<T>, auths: readonly Authorization[]): Buffer {
  const code = TPM_CC[call.command];
  const handles = call.handles ?? [];
  let parameters = call.parameters ?? Buffer.alloc(0);
  const encryptor = auths.find((auth) => auth.attributes & TPMA_SESSION.decrypt);
  if (encryptor !== undefined) parameters = changeFirst(parameters, (plain) => encryptor.encryptCommand(plain));
  const body = new Writer();
  for (const handle of handles) body.uint(4, handleOf(handle));
  if (auths.length > 0) {
    const cpHash = auths.some((auth) => auth.authenticates)
      ? sha256(codeBytes(code), ...handles.map((handle) => nameOf(handle)), parameters)
      : Buffer.alloc(0);
    const area = authArea(auths, cpHash);
    body.uint(4, area.length);
    body.put(area);
  }
  body.put(parameters);
  const bytes = body.bytes();
  const command = new Writer();
  command.uint(2, auths.length > 0 ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS);
  command.uint(4, 10 + bytes.length);
  command.uint(4, code);
  command.put(bytes);
  return command.bytes();
}

function readAuths(from: Reader, auths: readonly Authorization[]): ResponseAuth[] {
  return auths.map(() => ({
    nonceTpm: from.take(from.uint(2)),
    attributes: from.uint(1),
    hmac: from.take(from.uint(2)),
  }));
}

function readResponse<T>(call: Call<T>, auths: readonly Authorization[], response: Buffer): T {
  const name = `TPM2_${call.command}`;
  const from = new Reader(response, name);
  from.take(10);
  const handle = call.returnsHandle === true ? from.uint(4) : 0;
  if (auths.length === 0) return readAll(call, from, handle);
  const parameters = from.take(from.uint(4));
  const answers = readAuths(from, auths);
  from.end();
  const rpHash = sha256(Buffer.alloc(4), codeBytes(TPM_CC[call.command]), parameters);
  for (const [index, auth] of auths.entries()) {
    const answer = answers[index];
    if (answer !== undefined) auth.accept(rpHash, answer);
  }
  const decryptor = auths.find((auth) => auth.attributes & TPMA_SESSION.encrypt);
  const clear =
    decryptor === undefined ? parameters : changeFirst(parameters, (secret) => decryptor.decryptResponse(secret));
  return readAll(call, new Reader(clear, name), handle);
}

function readAll<T>(call: Call<T>, from: Reader, handle: number): T {
  const value = call.read(from, handle);
  from.end();
  return value;
}

/** Runs one command. Errors: TpmResponseError when the TPM refuses, TpmError otherwise. */
export async function execute<T>(tpm: CommandQueue, call: Call<T>): Promise<T> {
  const auths = call.auths ?? [];
  const name = `TPM2_${call.command}`;
  const response = await tpm.submit(buildCommand(call, auths), name, call.deadline ?? 'short');
  try {
    return readResponse(call, auths, response);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new TpmError('TPM_RESPONSE', `${name}: the response is malformed`, { cause });
  }
}
