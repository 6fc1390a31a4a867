// Compares the files on disk with a statement whose signature was checked: changed, missing, surplus, not plain files.
import { join } from 'node:path';
import { equalBytes } from '../crypto/digest.ts';
import { FileFault } from '../files/fault.ts';
import type { Fault } from '../files/fault.ts';
import type { HashName } from '../files/hash-file.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { TreeFile } from '../files/tree.ts';
import type { ReleaseFault } from './judgement.ts';
import { inLanes } from './lanes.ts';
import type { ModelFiles } from './model-files.ts';
import { hashOfType } from './oms-resources.ts';
import type { OmsStatement } from './oms-statement.ts';
import type { OmsFile } from './oms-types.ts';
import type { ManifestEntry } from './types.ts';

export interface CheckOptions {
  readonly pool: HashPool;
  /** Also takes the SHA-256 of every file, whatever the statement is made of, so that a manifest can be made. */
  readonly withManifest: boolean;
  /** Files that the statement does not name are no fault. */
  readonly surplusAllowed?: boolean;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
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

/** The path itself and every folder on the way to it. */
function ways(path: string): string[] {
  const all = [path];
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) all.push(path.slice(0, at));
  return all;
}

/** One look at the files: what was wrong so far. */
class Look {
  readonly faults: ReleaseFault[] = [];
  readonly entries: ManifestEntry[] = [];
  #more = 0;
  readonly #options: CheckOptions;
  readonly #folder: string;
  readonly #hash: HashName;

  constructor(options: CheckOptions, folder: string, hash: HashName) {
    this.#options = options;
    this.#folder = folder;
    this.#hash = hash;
  }

  fault(fault: ReleaseFault): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(fault);
    else this.#more++;
  }

  result(unseen: readonly string[]): CheckedFiles {
    // Files are hashed in any order; a person and a test want one.
    const faults = this.faults.toSorted((a, b) => (a.expected + a.found < b.expected + b.found ? -1 : 1));
    const last = faults.at(-1);
    if (last !== undefined && this.#more > 0) faults.push({ ...last, found: `${this.#more} more faults` });
    return { faults, entries: this.entries, unseen };
  }

  async compare(file: TreeFile, signed: OmsFile): Promise<void> {
    const { onProgress, signal } = this.#options;
    const some = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
    try {
      await this.#compare(file, signed, some);
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      this.fault(treeFault({ path: file.path, kind: error.kind }));
    }
  }

  async #compare(file: TreeFile, signed: OmsFile, some: Pick<CheckOptions, 'onProgress' | 'signal'>): Promise<void> {
    const { pool, withManifest } = this.#options;
    const path = join(this.#folder, file.path);
    if (signed.size === null) {
      const names: HashName[] = withManifest && this.#hash !== 'sha256' ? [this.#hash, 'sha256'] : [this.#hash];
      const { size, digests } = await pool.digestFile(path, names, { ...some, size: file.size });
      this.#agree(file.path, signed.parts[0]?.digest, digests[0], null);
      this.#found(file.path, size, digests.at(-1));
      return;
    }
    if (signed.size !== file.size) {
      const expected = `${file.path}: ${signed.size} bytes`;
      this.fault({ rule: 'release-file-changed', expected, found: `${file.size} bytes` });
      return;
    }
    for (const { start, end, digest } of signed.parts) {
      const range = { start, end: end ?? file.size };
      const { digests } = await pool.digestFile(path, [this.#hash], { ...some, range });
      this.#agree(file.path, digest, digests[0], range.start);
    }
    if (!withManifest) return;
    const whole = await pool.digestFile(path, ['sha256'], some);
    this.#found(file.path, whole.size, whole.digests[0]);
  }

  #agree(path: string, want: Buffer | undefined, got: Buffer | undefined, from: number | null): void {
    if (want === undefined || got === undefined) throw new TypeError(`no digest of ${path}`);
    if (equalBytes(want, got)) return;
    const where = from === null ? path : `${path} from byte ${from}`;
    this.fault({
      rule: 'release-file-changed',
      expected: `${where}: ${want.toString('hex')}`,
      found: got.toString('hex'),
    });
  }

  #found(path: string, size: number, sha256: Buffer | undefined): void {
    if (this.#options.withManifest && sha256 !== undefined) this.entries.push({ path, size, sha256 });
  }

  /** A file of a shard statement that it cannot name, because it is empty. */
  async unnamed(file: TreeFile): Promise<void> {
    if (!this.#options.withManifest) return;
    const { size, sha256 } = await this.#options.pool.hashFile(join(this.#folder, file.path));
    this.#found(file.path, size, sha256);
  }
}

/** Compares all files of a model. Errors: MeasureError, the signal's reason. What is wrong with files is in the result. */
export async function checkFiles(
  model: ModelFiles,
  statement: OmsStatement,
  options: CheckOptions,
): Promise<CheckedFiles> {
  const hash = hashOfType(statement.serialization.hash_type);
  if (hash === undefined) throw new TypeError(`no hash ${statement.serialization.hash_type}`);
  const look = new Look(options, model.folder, hash);
  // A lone `.` is the one file of the model, called as the subject is where it lies in a folder.
  const lone = model.single ? model.name : statement.subject.name;
  const signed = new Map(statement.files.map((file) => [file.path === '.' ? lone : file.path, file]));
  const present = new Map(model.files.map((file) => [file.path, file]));

  const faulty = new Set(model.faults.map((fault) => fault.path));
  // Folders on the way to a signed file count as signed: a link in their place hides the file.
  const onTheWay = new Set([...signed.keys()].flatMap((path) => ways(path)));
  for (const fault of model.faults) {
    if (options.surplusAllowed !== true || onTheWay.has(fault.path)) look.fault(treeFault(fault));
  }
  for (const path of signed.keys()) {
    if (present.has(path) || ways(path).some((way) => faulty.has(way))) continue;
    look.fault({ rule: 'release-file-missing', expected: path, found: 'no such file' });
  }
  const unnamed = model.files.filter((file) => !signed.has(file.path));
  const isUnseen = (file: TreeFile): boolean => statement.serialization.method === 'shards' && file.size === 0;
  for (const file of unnamed) {
    if (isUnseen(file) || options.surplusAllowed === true) continue;
    look.fault({ rule: 'release-file-surplus', expected: 'only signed files', found: file.path });
  }
  const pairs = [...signed].flatMap(([path, wanted]) => {
    const file = present.get(path);
    return file === undefined ? [] : [{ file, wanted }];
  });
  await inLanes(pairs, async ({ file, wanted }) => look.compare(file, wanted));
  const unseen = unnamed.filter((file) => isUnseen(file));
  await inLanes(unseen, async (file) => look.unnamed(file));
  return look.result(unseen.map((file) => file.path));
}
