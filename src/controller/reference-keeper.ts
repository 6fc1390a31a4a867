// The reference values in use: read again when a file or the root statement changes, and never half.
import { readFileSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { quotedPcrs } from '../profile/profile.ts';
import { extendTrust, loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import type { Yardstick } from './judging.ts';
import type { Log } from '../log.ts';
import { loadReferences } from './references.ts';
import type { References } from './references.ts';
import { policyOf, STATE_FILES } from './settings.ts';
import type { Settings } from './settings.ts';

/** What a device of one profile is asked and judged by. */
export interface ProfileTerms extends Yardstick {
  readonly pcrs: readonly number[];
  readonly attestEveryMs: number;
}

/** Several files change together: wait until they are all there. */
const SETTLE_MS = 300;
/** What could not be read may have been in the middle of being copied: look once more. */
const LOOK_AGAIN_MS = 2000;

/** Everything that devices are judged by, as one text. */
function fingerprint(references: References): string {
  const profiles = [...references.profiles].map(([id, { digest }]) => {
    const values = references.of(id);
    const boot = [...(values?.bootPcrs ?? [])].map(([pcr, digests]) => [pcr, ...digests]);
    const components = values?.components?.map((one) => Object.values(one).map(String)) ?? null;
    return [id, digest.toString('hex'), boot, components, values?.bootCoversAgent, String(values?.floorIndex)];
  });
  const releases = [...references.releases.values()].map(({ id, withdrawn, lapsed }) => [
    id,
    withdrawn,
    (lapsed ?? []).map(({ rule, found }) => [rule, found]),
  ]);
  return JSON.stringify([profiles, releases, references.faults]);
}

export class ReferenceKeeper implements Disposable {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #changed: (newTrust: Trust | null) => void;
  #trust: Trust;
  #references: References;
  #rootFault: string | null = null;
  #terms = new Map<string, ProfileTerms | null>();
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(settings: Settings, log: Log, now: () => number, changed: (newTrust: Trust | null) => void) {
    this.#settings = settings;
    this.#log = log;
    this.#now = now;
    this.#changed = changed;
    this.#trust = settings.trust;
    this.#references = loadReferences(settings.stateDir, settings.trust);
    this.#report();
  }

  get references(): References {
    return this.#references;
  }

  /** What the root says now. */
  get trust(): Trust {
    return this.#trust;
  }

  /** Files that are there and cannot be used, each with the reason. */
  get faults(): readonly string[] {
    return this.#rootFault === null ? this.#references.faults : [this.#rootFault, ...this.#references.faults];
  }

  /** Null for a profile that the controller does not have. */
  terms(profileId: string): ProfileTerms | null {
    const held = this.#terms.get(profileId);
    if (held !== undefined) return held;
    const loaded = this.#references.profiles.get(profileId);
    const reference = this.#references.of(profileId);
    const terms =
      loaded === undefined || reference === null
        ? null
        : {
            reference,
            policy: policyOf(this.#settings, loaded.profile.leaseSeconds * 1000),
            pcrs: quotedPcrs(loaded.profile),
            attestEveryMs: loaded.profile.attestEverySeconds * 1000,
          };
    this.#terms.set(profileId, terms);
    return terms;
  }

  /** Reads everything again; calls `changed` when something is different. */
  reload(): void {
    const before = fingerprint(this.#references);
    const trust = this.#readTrust();
    const isNewer = trust.version > this.#trust.version;
    this.#trust = trust;
    this.#references = loadReferences(this.#settings.stateDir, this.#trust);
    this.#terms = new Map();
    if (isNewer) {
      this.#log.write('info', 'root', `root statement ${trust.version} is in force`, { version: trust.version });
      this.#changed(trust);
      return;
    }
    if (fingerprint(this.#references) === before) return;
    const { profiles, releases } = this.#references;
    this.#log.write(
      'info',
      'references',
      `reference values read: ${profiles.size} profiles, ${releases.size} releases`,
    );
    this.#report();
    this.#changed(null);
  }

  /** A root statement that is not to be trusted, or is older, changes nothing. */
  #readTrust(): Trust {
    const { stateDir } = this.#settings;
    try {
      const [fleet, root] = [STATE_FILES.fleet, STATE_FILES.root].map((name) => readFileSync(join(stateDir, name)));
      if (fleet === undefined || root === undefined) throw new TypeError('two files were read');
      const next = extendTrust(this.#trust, root, this.#now());
      if (!next.ok) {
        const words = next.findings.map((one) => `${one.rule} (expected ${one.expected}, found ${one.found})`);
        throw new ConfigError('CONFIG_INVALID', words.join('; '));
      }
      // Nothing newer: as a start would read it, which also says when it is not what is in force.
      const trust = next.trust === this.#trust ? loadTrust(fleet, root, this.#now(), this.#trust.version) : next.trust;
      this.#rootFault = null;
      return trust;
    } catch (error) {
      if (!(error instanceof TouchstoneError) && !(error instanceof Error && 'syscall' in error)) throw error;
      this.#rootFault = `${STATE_FILES.root} was not taken: ${error.message}`;
      return this.#trust;
    }
  }

  #report(): void {
    for (const fault of this.faults) this.#log.write('warning', 'reference-fault', fault);
  }

  /** Watches the folders; a hint only, because a file system may not tell. */
  watch(): void {
    const { stateDir } = this.#settings;
    for (const name of ['.', STATE_FILES.profiles, STATE_FILES.releases, STATE_FILES.references]) {
      try {
        const watcher = watch(join(stateDir, name), (_event, file) => {
          if (name !== '.' || file === STATE_FILES.root) this.#soon();
        });
        watcher.on('error', () => {});
        this.#watchers.push(watcher);
      } catch {
        // Not there, or no watches left: SIGHUP still works.
      }
    }
  }

  #soon(again = false): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.reload();
        if (!again && this.faults.length > 0) this.#soon(true);
      },
      again ? LOOK_AGAIN_MS : SETTLE_MS,
    );
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }
}
