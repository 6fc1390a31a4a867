// Compares the files on disk with a statement whose signature was checked: changed, missing, surplus, not plain files.
import { join } from 'node:path';
import { equalBytes } from '../crypto/digest.ts';
import { FileFault } from '../files/fault.ts';
import type { Fault } from '../files/fault.ts';
import type { HashOutcome } from '../files/hash-file.ts';
import type { DigestOptions, HashPool } from '../files/hash-pool.ts';
import type { HashName } from '../files/hashes.ts';
import type { TreeFile } from '../files/tree.ts';
import type { ReleaseFault } from './judgement.ts';
import { inLanes } from './lanes.ts';
import type { ModelFiles } from './model-files.ts';
import type { Check } from './open-checks.ts';
import { hashOfType } from './oms-resources.ts';
import type { OmsStatement } from './oms-statement.ts';
import type { OmsFile } from './oms-types.ts';
import type { ManifestEntry } from './types.ts';

/** Reads one file of a model, once, for all digests that are asked for. Errors: FileFault, and whatever ends the whole comparison. */
export type ReadFile = (
  file: TreeFile,
  algorithms: readonly HashName[],
  options: DigestOptions & { readonly size: number },
) => Promise<HashOutcome>;

/** Reads the files where they lie. */
export function readingIn(folder: string, pool: HashPool): ReadFile {
  return async ({ path }, algorithms, options) => pool.digestFile(join(folder, path), algorithms, options);
}

export interface CheckOptions {
  readonly read: ReadFile;
  /** Also takes the SHA-256 of every file, whatever the statement is made of, so that a manifest can be made. */
  readonly withManifest: boolean;
  /** Files that the statement does not name are no fault. */
  readonly surplusAllowed?: boolean;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** All of them, unless a test shows what one is good for. */
  readonly checks?: readonly Check<FileFacts>[];
}

export interface CheckedFiles {
  readonly faults: readonly ReleaseFault[];
  /** Every file that was found and named; empty without `withManifest`. */
  readonly entries: readonly ManifestEntry[];
  /** Empty files that a statement of shards cannot name: it says nothing of them. */
  readonly unseen: readonly string[];
}

/** Findings of one kind that are worth a person's time; the rest is counted. */
const MAX_FAULTS = 64;

function treeFault({ path, kind }: Fault): ReleaseFault {
  if (kind === 'changed')
    return { rule: 'release-file-changed', expected: `${path} at rest`, found: 'written to just now' };
  if (kind === 'missing')
    return { rule: 'release-file-missing', expected: path, found: 'gone while it was looked for' };
  if (kind === 'bad-name') return { rule: 'release-path', expected: 'names in plain UTF-8', found: path };
  return { rule: 'release-file-kind', expected: 'regular files in folders', found: `${path}: ${kind}` };
}

/** What a model's files and its statement come to, laid side by side. */
export interface FileFacts {
  readonly shards: boolean;
  readonly signed: ReadonlyMap<string, OmsFile>;
  readonly present: ReadonlyMap<string, TreeFile>;
  /** What is no plain file, or could not be listed or read. */
  readonly odd: readonly Fault[];
  /** Both sides of every byte range, or size, that is not as signed. */
  readonly differing: readonly { readonly expected: string; readonly found: string }[];
  readonly surplusAllowed: boolean;
}

/** The path itself and every folder on the way to it. */
function ways(path: string): string[] {
  const all = [path];
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) all.push(path.slice(0, at));
  return all;
}

/** A file that a statement of shards cannot name, because it is empty. */
function isUnseen(facts: Pick<FileFacts, 'shards' | 'signed'>, file: TreeFile): boolean {
  return facts.shards && file.size === 0 && !facts.signed.has(file.path);
}

/** What is asked of the files, as an ordered list of named checks. */
export const FILE_CHECKS: readonly Check<FileFacts>[] = [
  {
    rule: 'release-file-kind',
    judge: ({ odd, signed, surplusAllowed }) => {
      // Folders on the way to a signed file count as signed: a link in their place hides the file.
      const onTheWay = new Set(surplusAllowed ? [...signed.keys()].flatMap((path) => ways(path)) : []);
      return odd.filter(({ path }) => !surplusAllowed || onTheWay.has(path)).map((fault) => treeFault(fault));
    },
  },
  {
    rule: 'release-file-missing',
    judge: ({ odd, signed, present }) => {
      const hidden = new Set(odd.map((fault) => fault.path));
      return [...signed.keys()]
        .filter((path) => !present.has(path) && !ways(path).some((way) => hidden.has(way)))
        .map((path) => ({ rule: 'release-file-missing', expected: path, found: 'no such file' }));
    },
  },
  {
    rule: 'release-file-surplus',
    judge: (facts) =>
      facts.surplusAllowed
        ? []
        : [...facts.present.values()]
            .filter((file) => !facts.signed.has(file.path) && !isUnseen(facts, file))
            .map(({ path }) => ({ rule: 'release-file-surplus', expected: 'only signed files', found: path })),
  },
  {
    rule: 'release-file-changed',
    judge: ({ differing }) => differing.map((both) => ({ rule: 'release-file-changed', ...both })),
  },
];

/** The manifest of the files that were found, and the one in the passport; hex digests. */
export interface Manifests {
  readonly found: string;
  readonly signed: string;
}

export const MANIFEST_CHECKS: readonly Check<Manifests>[] = [
  {
    rule: 'release-manifest',
    judge: ({ found, signed }) =>
      found === signed ? [] : [{ rule: 'release-manifest', expected: `manifest ${signed}`, found }],
  },
];

function judgeFacts(facts: FileFacts, checks: readonly Check<FileFacts>[]): ReleaseFault[] {
  // Files are hashed in any order; a person and a test want one.
  const all = checks
    .flatMap((check) => check.judge(facts))
    .toSorted((a, b) => (a.expected + a.found < b.expected + b.found ? -1 : 1));
  const faults = all.slice(0, MAX_FAULTS);
  const last = faults.at(-1);
  const more = all.length - faults.length;
  return last === undefined || more === 0 ? faults : [...faults, { ...last, found: `${more} more faults` }];
}

function factsOf(model: ModelFiles, statement: OmsStatement, surplusAllowed: boolean): FileFacts {
  // A lone `.` is the one file of the model, called as the subject is where it lies in a folder.
  const lone = model.single ? model.name : statement.subject.name;
  return {
    shards: statement.serialization.method === 'shards',
    signed: new Map(statement.files.map((file) => [file.path === '.' ? lone : file.path, file])),
    present: new Map(model.files.map((file) => [file.path, file])),
    odd: model.faults,
    differing: [],
    surplusAllowed,
  };
}

/** What the names and kinds of the files alone show to be wrong: before a byte is read. */
export function judgeListing(
  model: ModelFiles,
  statement: OmsStatement,
  checks: readonly Check<FileFacts>[] = FILE_CHECKS,
): ReleaseFault[] {
  return judgeFacts(factsOf(model, statement, false), checks);
}

/** Reads the files and keeps what differs. */
class Reading {
  readonly odd: Fault[] = [];
  readonly entries: ManifestEntry[] = [];
  readonly differing: { expected: string; found: string }[] = [];
  readonly #options: CheckOptions;
  readonly #hash: HashName;
  readonly #shardBytes: number | null;

  constructor(options: CheckOptions, hash: HashName, shardBytes: number | null) {
    this.#options = options;
    this.#hash = hash;
    this.#shardBytes = shardBytes;
  }

  async read(file: TreeFile, signed: OmsFile | null): Promise<void> {
    try {
      if (signed === null) await this.#read(file, ['sha256'], null);
      else if (this.#shardBytes === null) await this.#readWhole(file, signed);
      else await this.#readShards(file, signed, this.#shardBytes);
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      this.odd.push({ path: file.path, kind: error.kind });
    }
  }

  async #readWhole(file: TreeFile, { parts }: OmsFile): Promise<void> {
    const { withManifest } = this.#options;
    const names: HashName[] = withManifest && this.#hash !== 'sha256' ? [this.#hash, 'sha256'] : [this.#hash];
    const { digests } = await this.#read(file, names, null);
    this.#compare(file.path, parts[0]?.digest, digests[0]);
  }

  async #readShards(file: TreeFile, signed: OmsFile, shardBytes: number): Promise<void> {
    const { path, size } = file;
    const asLong = signed.size === size;
    if (!asLong) this.differing.push({ expected: `${path}: ${signed.size} bytes`, found: `${size} bytes` });
    const whole: HashName[] = this.#options.withManifest ? ['sha256'] : [];
    if (!asLong && whole.length === 0) return;
    const { parts, size: read } = await this.#read(file, whole, asLong ? shardBytes : null);
    if (read !== size) throw new FileFault('changed', path);
    if (!asLong) return;
    for (const [at, { start, digest }] of signed.parts.entries()) {
      this.#compare(`${path} from byte ${start}`, digest, parts[at]);
    }
  }

  /** Each file once, whatever is asked of it. The manifest has the last of the digests of the whole. */
  async #read(file: TreeFile, names: readonly HashName[], shardBytes: number | null): Promise<HashOutcome> {
    const { read, onProgress, signal } = this.#options;
    const found = await read(file, names, {
      size: file.size,
      ...(shardBytes === null ? {} : { parts: { algorithm: this.#hash, bytes: shardBytes } }),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
    this.#enter(file.path, found.size, found.digests.at(-1));
    return found;
  }

  #compare(where: string, want: Buffer | undefined, got: Buffer | undefined): void {
    if (want === undefined || got === undefined) throw new TypeError(`no digest of ${where}`);
    if (equalBytes(want, got)) return;
    this.differing.push({ expected: `${where}: ${want.toString('hex')}`, found: got.toString('hex') });
  }

  #enter(path: string, size: number, sha256: Buffer | undefined): void {
    if (this.#options.withManifest && sha256 !== undefined) this.entries.push({ path, size, sha256 });
  }
}

/** Compares all files of a model. Errors: MeasureError, the signal's reason, those of `read`. What is wrong with files is in the result. */
export async function checkFiles(
  model: ModelFiles,
  statement: OmsStatement,
  options: CheckOptions,
): Promise<CheckedFiles> {
  const hash = hashOfType(statement.serialization.hash_type);
  if (hash === undefined) throw new TypeError(`no hash ${statement.serialization.hash_type}`);
  const facts = factsOf(model, statement, options.surplusAllowed === true);
  const { method, shard_size: shardBytes } = statement.serialization;
  const reading = new Reading(options, hash, method === 'shards' ? (shardBytes ?? null) : null);
  const unseen = model.files.filter((file) => isUnseen(facts, file));
  const named = [...facts.signed].flatMap(([path, signed]) => {
    const file = facts.present.get(path);
    return file === undefined ? [] : [{ file, signed }];
  });
  const unnamed = options.withManifest ? unseen.map((file) => ({ file, signed: null })) : [];
  await inLanes([...named, ...unnamed], async ({ file, signed }) => reading.read(file, signed));
  const found = { ...facts, odd: [...facts.odd, ...reading.odd], differing: reading.differing };
  return {
    faults: judgeFacts(found, options.checks ?? FILE_CHECKS),
    entries: reading.entries,
    unseen: unseen.map((file) => file.path),
  };
}
