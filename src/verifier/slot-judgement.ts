// One slot of the log held against profile and releases: the facts that several checks ask for.
import { toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { unplanned } from '../release/planned-change.ts';
import { sameBytes } from './same-bytes.ts';
import type { ReferenceRelease, ReferenceValues, SlotLogState } from './types.ts';

export type ReferenceSlot = ReferenceValues['profile']['slots'][number];

/** SHA-256 of the canonical manifest of no files: CBOR []. */
const EMPTY_MANIFEST: Uint8Array = sha256(Buffer.from([0x80]));

/** What a slot was measured to hold: SlotLogState without the log's memory of it. */
export type SlotContent = Omit<SlotLogState, 'wasWrong'>;

/** The releases that an appraisal asks for: mostly the one that it asked for before. */
export class ReleaseLookup {
  readonly #releases: ReferenceValues['releases'];
  #key: Uint8Array | null = null;
  #release: ReferenceRelease | undefined;

  constructor({ releases }: ReferenceValues) {
    this.#releases = releases;
  }

  /** The reference release of a slot's content; undefined when it names none, or one that nobody we trust signed. */
  of({ release }: SlotContent): ReferenceRelease | undefined {
    if (release === null) return undefined;
    if (this.#key === null || !sameBytes(this.#key, release)) {
      this.#key = release;
      this.#release = this.#releases.get(toHex(release));
    }
    return this.#release;
  }
}

/** A profile's slot with what the log says it holds. */
export interface MeasuredSlot {
  readonly slot: ReferenceSlot;
  readonly held: SlotLogState;
  readonly release: ReferenceRelease | undefined;
}

export function holdsUnsignedFiles(content: SlotContent): boolean {
  return content.release === null && !sameBytes(content.manifest, EMPTY_MANIFEST);
}

/** Files differ from the release, by name or only by the digest of the whole. */
export function hasWrongBytes(content: SlotContent, release: ReferenceRelease | undefined): boolean {
  if (content.differing.length > 0 || content.more > 0) return true;
  return release !== undefined && !sameBytes(content.manifest, release.manifest);
}

export function hasWrongConfigs(content: SlotContent, slot: ReferenceSlot): boolean {
  if (content.release === null && content.configs === null) return false;
  return !sameBytes(content.configs, slot.configs);
}

/**
 * True when this content, of which `release` is the reference release, may not be in this slot. Withdrawal is not among it: it
 * comes later than the content.
 */
export function isWrong(
  content: SlotContent,
  slot: ReferenceSlot | undefined,
  release: ReferenceRelease | undefined,
  hardwareClass: string,
): boolean {
  if (slot === undefined || hasWrongConfigs(content, slot)) return true;
  if (content.release === null) return holdsUnsignedFiles(content);
  return (
    release === undefined ||
    hasWrongBytes(content, release) ||
    !sameBytes(content.statement, release.statement) ||
    release.slotRole !== slot.role ||
    !slot.modelIds.includes(release.modelId) ||
    unplanned(slot, release) !== null ||
    !release.hardwareClass.includes(hardwareClass)
  );
}
