// What is carried by hand: the parts of a bundle and of a receipt, as touchstone.cddl lists them, and how long each may be.
import { packUstar, UstarReader } from '../files/ustar.ts';
import type { UstarEntry } from '../files/ustar.ts';
import { WireError } from '../errors.ts';
import { PASSPORT_FILE_BYTES } from '../release/open.ts';
import {
  FLOOR_TOKEN_BYTES,
  FLOOR_TOKEN_FILE,
  MODEL_FOLDER,
  PASSPORT_FILE,
  SIGNATURE_FILE,
  SIGNATURE_FILE_BYTES,
} from '../release/release-folder.ts';
import { ROOT_FILE_BYTES } from '../release/root-chain.ts';

/** The small parts of a bundle, in their order, before the files of the model. */
export interface BundlePapers {
  /** Bytes of a root.json. */
  readonly root: Buffer;
  /** DSSE envelope of the instruction. */
  readonly instruction: Buffer;
  /** Sealed challenge. */
  readonly challenge: Buffer;
  readonly passport: Buffer;
  readonly sig: Buffer;
  /** Null where the release has none. */
  readonly token: Buffer | null;
}

const SMALL = [
  { name: 'root.json', as: 'root', max: ROOT_FILE_BYTES },
  { name: 'instruction.json', as: 'instruction', max: 16 * 1024 },
  { name: 'challenge', as: 'challenge', max: 2048 },
  { name: PASSPORT_FILE, as: 'passport', max: PASSPORT_FILE_BYTES },
  { name: SIGNATURE_FILE, as: 'sig', max: SIGNATURE_FILE_BYTES },
] as const;

/** Of one log-part or evidence message: what a broker would carry. */
const MESSAGE_BYTES = 320 * 1024;
/** As many as evidence may refer to. */
const MAX_LOG_PARTS = 512;

/** How file `index` of the model is called, counted in the order in which the signed statement names them first. */
export function modelEntry(index: number): string {
  return `${MODEL_FOLDER}/${index}`;
}

/** The papers as entries of an archive; the files of the model follow. */
export function bundleEntries(papers: BundlePapers): { readonly name: string; readonly bytes: Buffer }[] {
  const small = SMALL.map(({ name, as }) => ({ name, bytes: papers[as] }));
  return papers.token === null ? small : [...small, { name: FLOOR_TOKEN_FILE, bytes: papers.token }];
}

function unexpected(found: UstarEntry | null, expected: string): WireError {
  const words = `${found === null ? 'its end' : found.name} where ${expected} belongs`;
  return new WireError('WIRE_MALFORMED', words, { field: 'archive', offset: 0 });
}

/** The entry of this name, which must be the next one. Errors: WireError. */
export function expectEntry(found: UstarEntry | null, name: string): UstarEntry {
  if (found?.name !== name) throw unexpected(found, name);
  return found;
}

/** Nothing may come any more. Errors: WireError. */
export function expectEnd(found: UstarEntry | null): void {
  if (found !== null) throw unexpected(found, 'its end');
}

/** The papers, and the entry after them: the first file of the model. Errors: WireError. */
export async function readPapers(
  reader: UstarReader,
): Promise<{ readonly papers: BundlePapers; readonly next: UstarEntry | null }> {
  const read = new Map<string, Buffer>();
  for (const { name, as, max } of SMALL) {
    read.set(as, await reader.whole(expectEntry(await reader.next(), name), max));
  }
  const after = await reader.next();
  const hasToken = after?.name === FLOOR_TOKEN_FILE;
  const token = hasToken ? await reader.whole(after, FLOOR_TOKEN_BYTES) : null;
  const of = (as: keyof BundlePapers): Buffer => read.get(as) ?? Buffer.alloc(0);
  const papers = {
    root: of('root'),
    instruction: of('instruction'),
    challenge: of('challenge'),
    passport: of('passport'),
    sig: of('sig'),
    token,
  };
  return { papers, next: hasToken ? await reader.next() : after };
}

/** Evidence, with the parts of its log that go before it. */
export interface Receipt {
  readonly logParts: readonly Buffer[];
  readonly evidence: Buffer;
}

export function packReceipt({ logParts, evidence }: Receipt): Buffer {
  const parts = logParts.map((bytes, index) => ({ name: `log/${index}`, bytes }));
  return packUstar([...parts, { name: 'evidence', bytes: evidence }]);
}

/** Errors: WireError. */
export async function readReceipt(pieces: AsyncIterable<Uint8Array>): Promise<Receipt> {
  const reader = new UstarReader(pieces);
  const logParts: Buffer[] = [];
  let entry = await reader.next();
  while (entry?.name === `log/${logParts.length}` && logParts.length < MAX_LOG_PARTS) {
    logParts.push(await reader.whole(entry, MESSAGE_BYTES));
    entry = await reader.next();
  }
  const evidence = await reader.whole(expectEntry(entry, 'evidence'), MESSAGE_BYTES);
  expectEnd(await reader.next());
  return { logParts, evidence };
}

/** True for a signed result, which is carried to a device on the way back instead of a bundle. */
export function looksLikeResult(start: Uint8Array): boolean {
  return start[0] === 0x7b;
}
