// Compiles an engine from a verified model with the device's own runtime, without trusting what runs: what it wrote is copied while it is hashed.
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TouchstoneError } from '../errors.ts';
import { sha256 } from '../crypto/digest.ts';
import { fsyncDir, removeTree } from '../files/durable.ts';
import { FileFault } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { diskError } from '../files/space.ts';
import { listTree } from '../files/tree.ts';
import type { TreeFile } from '../files/tree.ts';
import { noHook, placesOf, releaseFolder, STAGING } from '../gate/places.ts';
import { assertSpace, beginStaging } from '../gate/staging.ts';
import type { Staging } from '../gate/staging.ts';
import type { Reason } from '../gate/settle.ts';
import { runtimeDigest } from '../measure/components.ts';
import type { SlotProfile } from '../profile/profile.ts';
import { canonicalManifest } from '../release/manifest.ts';
import { MODEL_FOLDER } from '../release/release-folder.ts';
import type { ManifestEntry } from '../release/types.ts';
import { BoundedProgram, endWords } from './bounded-program.ts';

const DEFAULT_SECONDS = 900;

/** What was compiled, in a folder that nobody uses yet. */
export interface CompiledEngine {
  /** Its files lie in `files`; whoever got it removes `folder`. */
  readonly folder: string;
  readonly files: string;
  /** SHA-256 of the manifest of its files. */
  readonly engine: Buffer;
  /** The runtime's digest, taken before it was asked. */
  readonly compiler: Buffer;
}

export interface MakerParts {
  readonly stateDir: string;
  readonly runtime: string | null;
  readonly pool: HashPool;
  readonly signal: AbortSignal;
  /** Runs `work` while nothing talks to the TPM. */
  alone<T>(work: () => T): Promise<T>;
}

class CompileFault extends Error {}

/** Where the program really lies is what counts: a link out of the runtime would lead to what nobody measured. */
async function assertMeasured(program: string, runtime: string): Promise<void> {
  const [found, root] = await Promise.all([realpath(program), realpath(runtime)]).catch((cause: unknown) => {
    throw new CompileFault(`${program} cannot be found`, { cause });
  });
  if (found !== root && !found.startsWith(`${root}/`))
    throw new CompileFault(`${program} leads to ${found}, which is not in the runtime ${runtime}`);
}

async function run(slot: SlotProfile, id: string, out: string, parts: MakerParts): Promise<void> {
  const { engine, healthUser = null } = slot;
  if (engine === undefined) throw new TypeError(`slot ${slot.name} has no engine`);
  const model = join(releaseFolder(parts.stateDir, id), MODEL_FOLDER);
  await using program = await BoundedProgram.start({
    argv: engine.command,
    env: { TOUCHSTONE_SLOT: slot.name, TOUCHSTONE_MODEL: model, TOUCHSTONE_ENGINE: out },
    runAs: healthUser,
    timeoutMs: (engine.seconds ?? DEFAULT_SECONDS) * 1000,
    unheard: true,
    alone: async (work) => parts.alone(work),
  });
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(parts.signal.reason);
  };
  parts.signal.addEventListener('abort', onAbort, { once: true });
  try {
    parts.signal.throwIfAborted();
    const ended = await Promise.race([program.end(), aborted.promise]);
    if (ended.code !== 0 || ended.timedOut) throw new CompileFault(`${engine.command[0]} failed: ${endWords(ended)}`);
  } finally {
    parts.signal.removeEventListener('abort', onAbort);
  }
}

async function listed(out: string): Promise<TreeFile[]> {
  const { files, faults } = await listTree(out).catch((cause: unknown) => {
    if (!(cause instanceof FileFault)) throw cause;
    throw new CompileFault(`its folder is ${cause.kind}`, { cause });
  });
  const [fault] = faults;
  if (fault !== undefined) throw new CompileFault(`it wrote ${fault.path}, which is no plain file: ${fault.kind}`);
  if (files.length === 0) throw new CompileFault('it wrote no file');
  return files;
}

/** Takes copies: whoever ran may still hold what it wrote open. */
async function copied(staging: Staging, files: readonly TreeFile[], signal: AbortSignal): Promise<ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  for (const file of files) {
    const { size, digests } = await staging.read(file, ['sha256'], { size: file.size, signal });
    const [digest] = digests;
    if (digest === undefined) throw new TypeError('a hash without its digest');
    entries.push({ path: file.path, size, sha256: digest });
  }
  const folders = new Set([staging.model]);
  for (const { path } of files) {
    for (let at = dirname(join(staging.model, path)); !folders.has(at); at = dirname(at)) folders.add(at);
  }
  // The topmost can only be made read-only once it lies where it belongs: renaming it changes it.
  for (const folder of [...folders].toSorted((a, b) => b.length - a.length)) {
    await chmod(folder, folder === staging.model ? 0o755 : 0o555);
    await fsyncDir(folder);
  }
  return entries;
}

/**
 * Compiles. A reason: it cannot be had of this release on this device as it is. Nothing stays behind then, or after a power cut once the gate
 * has recovered. Errors: MeasureError; the signal's reason.
 */
export async function compileEngine(
  slot: SlotProfile,
  id: string,
  parts: MakerParts,
): Promise<CompiledEngine | Reason> {
  const { stateDir, runtime, pool, signal } = parts;
  const places = placesOf(stateDir);
  const work = join(places.releases, `${STAGING}engine-${randomBytes(6).toString('hex')}`);
  const out = join(work, 'out');
  let staging: Staging | null = null;
  try {
    if (runtime === null || slot.engine === undefined) throw new CompileFault('the profile names no runtime for it');
    await assertMeasured(slot.engine.command[0] ?? '', runtime);
    const compiler = await runtimeDigest(runtime, pool);
    await mkdir(out, { recursive: true, mode: 0o700 });
    // Whoever compiles finds its folder, and nothing else here.
    await chmod(work, 0o711);
    if (slot.healthUser !== undefined) await chown(out, slot.healthUser.uid, slot.healthUser.gid);
    await run(slot, id, out, parts);
    const files = await listed(out);
    await assertSpace(places.releases, files, 0);
    staging = await beginStaging({ places, id, model: out, own: false, files, pool, step: noHook });
    const engine = sha256(canonicalManifest(await copied(staging, files, signal)));
    return { folder: staging.folder, files: staging.model, engine, compiler };
  } catch (error) {
    if (staging !== null) await removeTree(staging.folder);
    signal.throwIfAborted();
    const found = diskError(places.releases, error);
    const known =
      found instanceof CompileFault ||
      (found instanceof TouchstoneError && /^(?:RELEASE_INVALID|DISK_FULL)$/.test(found.code));
    if (!known) throw error;
    return { rule: 'engine-compile', detail: `no engine could be made for slot ${slot.name}: ${found.message}` };
  } finally {
    await removeTree(work);
  }
}
