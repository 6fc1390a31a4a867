// Notices that the registry was put back from a copy, begins another life of it, says so, and blames no device for being ahead.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { toUtf8 } from '../bytes/text.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, uint, v } from '../bytes/shape.ts';
import type { Clock } from '../clock.ts';
import { WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import type { Challenger } from './challenger.ts';
import type { ChallengeKeys } from './challenge-keys.ts';
import type { Log } from '../log.ts';
import type { Registry } from './registry.ts';
import type { Roster } from './roster.ts';

const MARK_EVERY_MS = 30_000;
const markShape = v.strictObject({ accepted: uint(), at: uint() });

export interface RestorationParts {
  readonly registry: Registry;
  readonly roster: Roster;
  readonly challenger: Pick<Challenger, 'askAll' | 'askForWhole'>;
  readonly keys: ChallengeKeys;
  readonly clock: Clock;
  readonly log: Log;
  /** Beside the registry and never copied with it: how far the registry was when it was last looked at. */
  readonly markFile: string;
}

/** What is missing from a registry that was put back: everything between these times (ms since 1970). */
export interface Gap {
  readonly from: number | null;
  readonly to: number;
}

export class Restoration {
  readonly #parts: RestorationParts;
  #gap: Gap | null = null;
  #marked = Number.NEGATIVE_INFINITY;

  constructor(parts: RestorationParts) {
    this.#parts = parts;
  }

  /** Null when nothing was put back since this controller runs. */
  get gap(): Gap | null {
    return this.#gap;
  }

  /** At the start, before anybody is asked. Errors: StoreError. */
  async open(): Promise<void> {
    const { registry, keys, markFile } = this.#parts;
    const standing = await registry.standing();
    keys.use(standing.life);
    const mark = await readFile(markFile).then(readMark, () => null);
    if (mark !== null && mark.accepted > standing.accepted) {
      await this.#begin(`it holds ${standing.accepted} verdicts, and held ${mark.accepted} before`);
    }
  }

  /** A device answered a challenge of ours that this registry has yet to come to: only an older copy can be behind it. */
  async ahead(device: string): Promise<void> {
    await this.#begin(`device ${device} answers a challenge that is ahead of it`);
  }

  /** From time to time: another controller may have begun another life; and how far we are is kept. Errors: StoreError. */
  async look(): Promise<void> {
    const { registry, keys, clock } = this.#parts;
    const now = clock.monotonic();
    if (now - this.#marked < MARK_EVERY_MS) return;
    this.#marked = now;
    if (keys.use((await registry.standing()).life)) this.#askForWhole();
    await this.mark();
  }

  /** Keeps how far the registry is. Errors: StoreError. */
  async mark(): Promise<void> {
    const { registry, clock, log, markFile } = this.#parts;
    const { accepted } = await registry.standing();
    const bytes = toUtf8(JSON.stringify({ accepted, at: clock.now() }));
    await writeFileDurably(markFile, bytes, 0o600).catch((error: unknown) => {
      // Nothing is lost but an early notice.
      const why = error instanceof Error ? error.message : String(error);
      log.write('warning', 'mark', `how far the registry is could not be kept: ${why}`);
    });
  }

  /** Every device is asked for its whole log: the copy knows no more of it than of a stranger's. */
  #askForWhole(): void {
    const { roster, challenger } = this.#parts;
    for (const { id } of roster.all()) challenger.askForWhole(id);
    challenger.askAll();
  }

  async #begin(why: string): Promise<void> {
    const { registry, keys, clock, log } = this.#parts;
    const { life, newest } = await registry.standing();
    const next = randomBytes(16);
    const gap = { from: newest, to: clock.now() };
    const since = newest === null ? 'its beginning' : new Date(newest).toISOString();
    const text = `the registry was put back from a copy: verdicts, reports, decisions and commands from ${since} to ${new Date(gap.to).toISOString()} are not in it`;
    // Another controller that noticed the same was first: its life is ours.
    if (await registry.beginLife(life, next, gap.to, text)) {
      log.write('warning', 'registry-restored', `${text} (${why}); tokens that were issued are void`);
    }
    this.#gap = gap;
    keys.use((await registry.standing()).life);
    this.#askForWhole();
    this.#marked = Number.NEGATIVE_INFINITY;
  }
}

/** A mark that cannot be read says nothing. */
function readMark(bytes: Buffer): { accepted: number } | null {
  try {
    return parseShape(markShape, parseJsonStrict(bytes), 'registry.mark');
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
