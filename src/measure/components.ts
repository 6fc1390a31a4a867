// Measures the software that measures: the agent's code with what it depends on, Node, profile, trust and runtime.
import { lstat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeCbor } from '../bytes/cbor.ts';
import type { Components } from '../cel/events.ts';
import { sha256 } from '../crypto/digest.ts';
import type { FaultKind } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { findFiles } from './found-files.ts';
import type { FoundFiles } from './found-files.ts';
import { packagesOf } from './packages.ts';

export interface ComponentsOptions {
  readonly profileDigest: Uint8Array;
  /** fleet.json and the root statement, exact bytes concatenated. */
  readonly trustBytes: Uint8Array;
  /** Folder or file of the inference runtime; null where there is none to measure. */
  readonly runtime: string | null;
  readonly pool: HashPool;
  /** Where the code lies; that which runs now by default. */
  readonly code?: string;
  /** The Node binary; the one that runs now by default. */
  readonly node?: string;
}

/** The folder that holds `src` and `native`, as sources or as built. */
const CODE = fileURLToPath(new URL('../..', import.meta.url));

/** SHA-256 over every file's [where, path, size, digest], in a fixed order. What can't be read is in it by its kind. */
function treesDigest(trees: readonly (readonly [string, FoundFiles])[]): Buffer {
  const rows = trees.flatMap(([where, { entries }]) =>
    entries.map(({ path, size, sha256: digest }) => [where, path, size, Uint8Array.from(digest)]),
  );
  return sha256(encodeCbor(rows));
}

/** What Node loads as code from a package; the rest, such as C sources, documents and types, is never run. */
const LOADABLE: ReadonlySet<string> = new Set(['', '.js', '.cjs', '.mjs', '.json', '.node', '.wasm']);

function isLoadable({ path, fault }: { readonly path: string; readonly fault: FaultKind | null }): boolean {
  return fault !== null || LOADABLE.has(extname(path));
}

async function agentDigest(code: string, pool: HashPool): Promise<Buffer> {
  const trees: [string, FoundFiles][] = [];
  // How Node reads the code: modules or scripts, and which file a name means.
  trees.push(['', await findFiles(code, { pool, exclude: (path) => path !== 'package.json' })]);
  for (const folder of ['native', 'src']) trees.push([folder, await findFiles(join(code, folder), { pool })]);
  // A package's own node_modules are packages of their own; what npm links in .bin is never imported.
  const exclude = (path: string): boolean => path === 'node_modules';
  for (const { name, folder } of await packagesOf(code)) {
    trees.push([`node_modules/${name}`, await findFiles(folder, { pool, exclude, counts: isLoadable })]);
  }
  return treesDigest(trees);
}

/** What a runtime is compared by. Errors: MeasureError. */
export async function runtimeDigest(runtime: string, pool: HashPool): Promise<Buffer> {
  const isFile = await lstat(runtime).then(
    (stat) => stat.isFile(),
    () => false,
  );
  if (isFile) return (await pool.hashFile(runtime)).sha256;
  return treesDigest([['', await findFiles(runtime, { pool })]]);
}

/** Errors: MeasureError; ConfigError CONFIG_MISSING when a package that the agent needs is not installed. */
export async function measureComponents(options: ComponentsOptions): Promise<Components> {
  const { profileDigest, trustBytes, runtime, pool, code = CODE, node = process.execPath } = options;
  return {
    agent: await agentDigest(code, pool),
    node: (await pool.hashFile(node)).sha256,
    profile: Buffer.from(profileDigest),
    trust: sha256(trustBytes),
    runtime: runtime === null ? null : await runtimeDigest(runtime, pool),
    gateMode: 'none',
  };
}
