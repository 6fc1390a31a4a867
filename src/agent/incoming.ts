// Brings releases in beside everything else the agent does, one at a time: from web servers, or out of a bundle.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import { removeTree } from '../files/durable.ts';
import { diskError } from '../files/space.ts';
import { incomingFolder, placesOf } from '../gate/places.ts';
import type { SignedFiles } from '../gate/judge.ts';
import type { TransferProfile } from '../profile/transfer.ts';
import type { CommandBody } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import { Pace } from '../transfer/body.ts';
import { fetchRelease } from '../transfer/fetch-release.ts';
import type { Fetched } from '../transfer/fetch-release.ts';
import { limitsOf } from '../transfer/limits.ts';
import type { TransferLimits } from '../transfer/limits.ts';
import { Web } from '../transfer/web.ts';
import type { Arrivals, Outcome } from './command-runner.ts';
import type { Log } from '../log.ts';
import { writeTransferNote } from './transfer-note.ts';

type Install = Extract<CommandBody, { kind: 'install' }>;

export interface IncomingParts {
  readonly stateDir: string;
  readonly profile: TransferProfile | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  readonly env: NodeJS.ProcessEnv;
  /** May this be fetched? An outcome: no, and why. */
  judge(body: Install, files: SignedFiles): Promise<SignedRelease | Outcome>;
  readonly limits?: Partial<TransferLimits>;
}

/** How often the note and, in tenths of the whole, the log say how far it has come. */
const NOTE_EVERY_MS = 1000;
const LOGGED_PARTS = 10;

interface Progress {
  readonly tell: (there: number, of: number) => void;
  /** Nothing is being fetched any more. */
  readonly end: () => Promise<void>;
}

export class Incoming implements Arrivals, AsyncDisposable {
  readonly #parts: IncomingParts;
  readonly #limits: TransferLimits;
  readonly #stop = new AbortController();
  /** Release ids that somebody waits for, as often as somebody does. */
  readonly #wanted: string[] = [];
  #turn: Promise<void> = Promise.resolve();

  private constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#limits = { ...limitsOf(parts.profile), ...parts.limits };
  }

  /** For one state directory, where an earlier start may have been cut. */
  static async open(parts: IncomingParts): Promise<Incoming> {
    await writeTransferNote(parts.stateDir, null);
    return new Incoming(parts);
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async bring(body: Install, signal: AbortSignal, arrived: (outcome: Outcome | null) => Promise<void>): Promise<void> {
    await this.#inTurn(body.release, signal, async (both) => {
      const fetched = this.#fetch(body, both).catch((error: unknown) => {
        throw diskError(placesOf(this.#parts.stateDir).incoming, error);
      });
      await arrived(await fetched);
    });
  }

  /** When its turn comes, has `work` fill the empty folder of `release`, and do with it what is to be done before the next one. */
  async unpack<T>(release: string, signal: AbortSignal, work: (folder: string) => Promise<T>): Promise<T> {
    return this.#inTurn(release, signal, async () => {
      const folder = await this.#folderOf(release);
      // What was fetched of it may be of other bytes.
      await removeTree(folder);
      await mkdir(folder, { mode: 0o700 });
      return work(folder);
    });
  }

  async #inTurn<T>(release: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#turn;
    const turn = Promise.withResolvers<void>();
    this.#turn = turn.promise;
    this.#wanted.push(release);
    try {
      await before;
      const both = AbortSignal.any([signal, this.#stop.signal]);
      both.throwIfAborted();
      return await work(both);
    } finally {
      this.#wanted.splice(this.#wanted.indexOf(release), 1);
      turn.resolve();
    }
  }

  async #folderOf(release: string): Promise<string> {
    await this.#clear();
    const folder = incomingFolder(this.#parts.stateDir, release);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  async #authorities(): Promise<string | null> {
    const file = this.#parts.profile?.caFile;
    if (file === undefined) return null;
    return readFile(file, 'utf8').catch((cause: unknown) => {
      throw new ConfigError('CONFIG_MISSING', `cannot read ${file} (transfer.caFile)`, { cause });
    });
  }

  /** What came of commands that nobody waits for any more makes room. */
  async #clear(): Promise<void> {
    const { incoming } = placesOf(this.#parts.stateDir);
    await mkdir(incoming, { recursive: true, mode: 0o700 });
    for (const name of await readdir(incoming)) {
      if (!this.#wanted.includes(name)) await removeTree(join(incoming, name));
    }
  }

  async #fetch(body: Install, signal: AbortSignal): Promise<Outcome | null> {
    const { clock, log, env } = this.#parts;
    const { slot, release, source } = body;
    if (source === null) throw new TypeError('nothing to fetch');
    const folder = await this.#folderOf(release);
    using web = new Web({ clock, limits: this.#limits, ca: await this.#authorities(), env });
    let refusal: Outcome | null = null;
    const words = `release ${release.slice(0, 12)} for slot ${slot}`;
    log.write('info', 'transfer-started', `fetching ${words}`, { slot, release });
    const progress = this.#progress(body, words);
    try {
      const parts = {
        web,
        clock,
        limits: this.#limits,
        pace: new Pace(clock, this.#limits.bytesPerSecond),
        signal,
        folder,
        onRetry: (error: Error) => {
          log.write('warning', 'transfer-retry', `fetching ${words}: ${error.message}; trying again`, {
            slot,
            release,
          });
        },
        onProgress: progress.tell,
        judge: async (files: SignedFiles) => {
          const judged = await this.#parts.judge(body, files);
          if (!('rule' in judged)) return judged.statement;
          refusal = judged;
          return null;
        },
      };
      const fetched = await fetchRelease(parts, source, release);
      return await this.#outcomeOf(fetched, folder, words, refusal);
    } finally {
      await progress.end();
    }
  }

  async #outcomeOf(fetched: Fetched, folder: string, words: string, refusal: Outcome | null): Promise<Outcome | null> {
    if (fetched.at === 'here') {
      this.#parts.log.write('info', 'transfer-ended', `${words} is here`);
      return null;
    }
    await removeTree(folder);
    if (fetched.at === 'refused') {
      return refusal ?? { kind: 'refused', rule: 'release-unsigned', detail: 'no model signature (model.sig) came' };
    }
    const { rule, expected, found } = fetched.fault;
    return { kind: 'refused', rule, detail: `${rule}: expected ${expected}, found ${found}` };
  }

  #progress({ slot, release }: Install, words: string): Progress {
    const { stateDir, clock, log } = this.#parts;
    let [notedAt, logged] = [-Infinity, 0];
    let writing = Promise.resolve();
    const tell = (there: number, of: number): void => {
      const part = of === 0 ? LOGGED_PARTS : Math.floor((there / of) * LOGGED_PARTS);
      if (part > logged) {
        logged = part;
        const percent = (part * 100) / LOGGED_PARTS;
        log.write('info', 'transfer-progress', `fetching ${words}: ${percent} %`, { slot, release, there, of });
      }
      if (clock.monotonic() - notedAt < NOTE_EVERY_MS || there === of) return;
      notedAt = clock.monotonic();
      // A note that cannot be written is no reason to stop.
      writing = writing.then(async () =>
        writeTransferNote(stateDir, { v: 1, slot, release, there, of }).catch(() => undefined),
      );
    };
    const end = async (): Promise<void> => {
      await writing;
      await writeTransferNote(stateDir, null);
    };
    return { tell, end };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    return Promise.resolve();
  }
}
