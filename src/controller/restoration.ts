// Notices that the registry was put back from a copy, begins another life of it, says so, and blames no device for being ahead.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { toUtf8 } from '../bytes/text.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, uint, v } from '../bytes/shape.ts';
import type { Clock } from '../clock.ts';
import { isPassing, WireError } from '../errors.ts';
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
  /** Evidence accepted when it was last looked at: it never becomes less by itself. */
  #accepted = 0;
  #beginning: Promise<void> | null = null;
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
    this.#accepted = standing.accepted;
    const mark = await readFile(markFile).then(readMark, () => null);
    if (mark !== null && mark.accepted > standing.accepted) {
      await this.#begin(`it holds ${standing.accepted} verdicts, and held ${mark.accepted} before`);
    }
  }

  /** A device answered a challenge of ours that this registry has yet to come to: only an older copy can be behind it. */
  async ahead(device: string): Promise<void> {
    await this.#begin(`device ${device} answers a challenge that is ahead of it`);
  }

  /**
   * From time to time, and `now` when the registry was gone: it may have been put back while we run, another controller may have
   * begun another life, and how far we are is kept. Errors: StoreError.
   */
  async look(now: boolean): Promise<void> {
    const { registry, keys, clock } = this.#parts;
    const time = clock.monotonic();
    if (!now && time - this.#marked < MARK_EVERY_MS) return;
    this.#marked = time;
    const { life, accepted } = await registry.standing();
    const before = this.#accepted;
    this.#accepted = accepted;
    if (keys.use(life)) this.#askForWhole();
    else if (accepted < before) await this.#begin(`it holds ${accepted} verdicts, and held ${before} before`);
    await this.#keep(accepted);
  }

  /** Keeps how far the registry is, at the end. */
  async mark(): Promise<void> {
    await this.look(true).catch((error: unknown) => {
      if (!isPassing(error)) throw error;
      this.#unkept(error);
    });
  }

  async #keep(accepted: number): Promise<void> {
    const { clock, markFile } = this.#parts;
    const bytes = toUtf8(JSON.stringify({ accepted, at: clock.now() }));
    await writeFileDurably(markFile, bytes, 0o600).catch((error: unknown) => {
      this.#unkept(error);
    });
  }

  /** Nothing is lost but an early notice. */
  #unkept(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.log.write('warning', 'mark', `how far the registry is could not be kept: ${why}`);
  }

  /** Every device is asked for its whole log: the copy knows no more of it than of a stranger's. */
  #askForWhole(): void {
    const { roster, challenger } = this.#parts;
    for (const { id } of roster.all()) challenger.askForWhole(id);
    challenger.askAll();
  }

  /** While we run: the registry knows less of a device than it did. */
  async wentBack(device: string): Promise<void> {
    await this.#begin(`it knows less of device ${device} than it did before`);
  }

  /** Once, however many devices show it. */
  async #begin(why: string): Promise<void> {
    this.#beginning ??= this.#beginNow(why).finally(() => (this.#beginning = null));
    await this.#beginning;
  }

  async #beginNow(why: string): Promise<void> {
    const { registry, roster, keys, clock, log } = this.#parts;
    const { life, newest } = await registry.standing();
    // What we held of others is of the life before.
    await roster.load();
    // Another controller has begun it.
    if (keys.use(life)) {
      this.#askForWhole();
      return;
    }
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
