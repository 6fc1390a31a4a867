// What tests of single TPM commands stand on: a command queue over either transport, and the tpm2-tools to compare with.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readHandles } from '../../src/tpm/commands/capabilities.ts';
import { createPrimary, flushContext, type LoadedObject } from '../../src/tpm/commands/objects.ts';
import { CommandQueue, type QueueOptions } from '../../src/tpm/queue.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { openTctiTransport } from '../../src/tpm/transport/tcti.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import type { TpmtPublic } from '../../src/tpm/wire/public.ts';
import type { SoftwareTpm } from './software-tpm.ts';

const run = promisify(execFile);

/** The ways to swtpm. */
export const TRANSPORTS: readonly {
  readonly name: string;
  readonly open: (tpm: SoftwareTpm) => Promise<TpmTransport>;
}[] = [
  { name: 'its socket', open: async (tpm) => openSocketTransport({ path: tpm.socketPath }) },
  { name: 'libtss2', open: async (tpm) => openTctiTransport(tpm.tcti) },
];

export async function openQueue(tpm: SoftwareTpm, options: QueueOptions = {}): Promise<CommandQueue> {
  return new CommandQueue(await openSocketTransport({ path: tpm.socketPath }), options);
}

/** Runs one of the tpm2-tools in the software TPM's folder and gives what it printed. Nobody else may be connected. */
export async function tpm2(tpm: SoftwareTpm, tool: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, TPM2TOOLS_TCTI: tpm.tcti, TSS2_LOG: 'all+none' };
  const { stdout } = await run(`tpm2_${tool}`, args, { cwd: tpm.dir, env });
  return stdout;
}

/** A path in the software TPM's folder. */
export function at(tpm: SoftwareTpm, name: string): string {
  return join(tpm.dir, name);
}

/** Transient objects and loaded sessions: what is there after all work is done has leaked. */
export async function loadedHandles(tpm: CommandQueue): Promise<number[]> {
  const ranges = await Promise.all([0x80000000, 0x02000000, 0x03000000].map(async (range) => readHandles(tpm, range)));
  return ranges.flat();
}

/** Closes the connection; an Error when something is still loaded. */
export async function closeUnleaked(tpm: CommandQueue): Promise<void> {
  const leaked = await loadedHandles(tpm);
  await tpm[Symbol.asyncDispose]();
  if (leaked.length > 0) throw new Error(`left in the TPM: ${leaked.map((handle) => handle.toString(16)).join(', ')}`);
}

/** Runs `work` with a primary key that is flushed afterwards. */
export async function withPrimary<T>(
  tpm: CommandQueue,
  template: TpmtPublic,
  work: (key: LoadedObject) => Promise<T>,
  hierarchy: number = TPM_RH.OWNER,
): Promise<T> {
  const key = await createPrimary(tpm, hierarchy, template);
  try {
    return await work(key);
  } finally {
    await flushContext(tpm, key);
  }
}

/** `bytes` with bit `bit` flipped. */
export function flipped(bytes: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
