// Says early that a slot may have changed: inotify hints on its link, its model's folders and its configs. The full pass decides.
import { watch } from 'node:fs';
import type { FSWatcher, Stats } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Profile, SlotProfile } from '../profile/profile.ts';
import { configPattern } from './config-pattern.ts';

export interface WatchSlotsOptions {
  readonly profile: Pick<Profile, 'slots'>;
  readonly stateDir: string;
  /** Called with the slot's name, at most once in `quietMs` for each slot. */
  readonly changed: (slot: string) => void;
  /** How long changes are gathered before they are told. */
  readonly quietMs?: number;
}

/** Folders watched for one slot; the kernel's supply is shared with the whole machine, and hints are only hints. */
const MAX_FOLDERS = 256;
const QUIET_MS = 250;

/** `root` and the folders below it, at most MAX_FOLDERS. What cannot be listed is left out. */
async function foldersBelow(root: string): Promise<string[]> {
  const folders = [root];
  for (let at = 0; at < folders.length && folders.length < MAX_FOLDERS; at++) {
    const folder = folders[at] ?? root;
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) folders.push(join(folder, entry.name));
  }
  return folders.slice(0, MAX_FOLDERS);
}

/** Folder → the names in it that matter; null: all of them. */
type Interests = Map<string, Set<string> | null>;

function addInterest(interests: Interests, folder: string, name: string | null): void {
  const names = interests.get(folder);
  if (name === null) interests.set(folder, null);
  else if (names === undefined) interests.set(folder, new Set([name]));
  else names?.add(name);
}

/** Watches for `name` in `folder`, or for the first folder on the way there that is still missing. */
async function addPath(interests: Interests, folder: string, name: string): Promise<void> {
  let [at, missing] = [folder, name];
  while (at !== dirname(at) && !(await stat(at).then(isFolder, () => false)))
    [at, missing] = [dirname(at), basename(at)];
  addInterest(interests, at, missing);
}

const isFolder = (found: Stats): boolean => found.isDirectory();

/** The hints of one slot. */
class SlotWatch {
  readonly #slot: SlotProfile;
  readonly #slotsFolder: string;
  readonly #changed: () => void;
  readonly #quietMs: number;
  readonly #watchers = new Map<string, FSWatcher>();
  #interests: Interests = new Map();
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void>;
  #closed = false;

  constructor(slot: SlotProfile, slotsFolder: string, changed: () => void, quietMs: number) {
    this.#slot = slot;
    this.#slotsFolder = slotsFolder;
    this.#changed = changed;
    this.#quietMs = quietMs;
    this.#work = this.#watchAnew();
  }

  /** Every watch is taken again: a folder that went and came back has another inode, and its old watch sees nothing any more. */
  async #watchAnew(): Promise<void> {
    const interests = await this.#find();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    if (this.#closed) return;
    this.#interests = interests;
    for (const folder of interests.keys()) this.#add(folder);
  }

  async #find(): Promise<Interests> {
    const interests: Interests = new Map();
    await addPath(interests, this.#slotsFolder, this.#slot.name);
    const target = await readlink(join(this.#slotsFolder, this.#slot.name)).catch(() => null);
    if (target !== null) {
      const release = join(this.#slotsFolder, target);
      await addPath(interests, dirname(release), basename(release));
      for (const folder of await foldersBelow(release)) addInterest(interests, folder, null);
    }
    for (const { path } of this.#slot.configs) {
      // A file that is replaced by renaming is seen in its folder only.
      const { base } = configPattern(path);
      await addPath(interests, dirname(base), basename(base));
      for (const folder of await foldersBelow(base)) addInterest(interests, folder, null);
    }
    return interests;
  }

  #add(folder: string): void {
    let watcher: FSWatcher;
    try {
      // Not recursive: that would take a watch for each file.
      watcher = watch(folder, { persistent: false });
    } catch {
      // Not there, not ours to read, or no watches left: the full pass sees what this hint would have told.
      return;
    }
    this.#watchers.set(folder, watcher);
    watcher.on('change', (_kind, name) => {
      const names = this.#interests.get(folder);
      if (names === null || name === null || names?.has(String(name)) === true) this.#touched();
    });
    watcher.on('error', () => {
      watcher.close();
      this.#touched();
    });
  }

  #touched(): void {
    // Not put off by what follows: a file that is written without end must not keep the hint back.
    if (this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#work = this.#tell();
    }, this.#quietMs);
    this.#timer.unref();
  }

  /** Watched first, told then: what changes in between is told once more, or measured after this hint. */
  async #tell(): Promise<void> {
    await this.#work;
    await this.#watchAnew();
    if (!this.#closed) this.#changed();
  }

  /** When the watches that are wanted now stand. */
  async ready(): Promise<void> {
    await this.#work;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#work;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}

export interface SlotsWatcher extends AsyncDisposable {
  /** Resolves when the watches that are wanted now stand. */
  ready(): Promise<void>;
}

/** Watches until disposed. Never fails: where nothing can be watched there are no hints. */
export function watchSlots(options: WatchSlotsOptions): SlotsWatcher {
  const { profile, stateDir, changed, quietMs = QUIET_MS } = options;
  const watches = profile.slots.map(
    (slot) =>
      new SlotWatch(
        slot,
        join(stateDir, 'slots'),
        () => {
          changed(slot.name);
        },
        quietMs,
      ),
  );
  return {
    ready: async () => {
      await Promise.all(watches.map(async (one) => one.ready()));
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(watches.map(async (one) => one.close()));
    },
  };
}
