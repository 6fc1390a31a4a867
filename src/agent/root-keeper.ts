// The root statement that this device acts by: as shipped, or as a chain from that one said since; kept in the journal, never back.
import { ConfigError } from '../errors.ts';
import { encodeRootFile } from '../release/root-chain.ts';
import { extendTrust, loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import type { Journal } from '../store/journal.ts';
import type { Log } from '../log.ts';

export interface RootKeeperParts {
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly log: Log;
  /** fleet.json and root.json as they ship in the firmware. */
  readonly fleetFile: Uint8Array;
  readonly rootFile: Uint8Array;
  /** Device time, ms. */
  now(): number;
}

function numberOf(bytes: Buffer | null): number {
  return bytes === null || bytes.length !== 8 ? 0 : Number(bytes.readBigUInt64BE());
}

export class RootKeeper {
  readonly #parts: RootKeeperParts;
  #trust: Trust;

  private constructor(parts: RootKeeperParts, trust: Trust) {
    this.#parts = parts;
    this.#trust = trust;
  }

  /** Errors: ConfigError CONFIG_INVALID when nothing is to be trusted, or only what is older than what was; StoreError. */
  static async open(parts: RootKeeperParts): Promise<RootKeeper> {
    const { journal, log, fleetFile, rootFile } = parts;
    const [kept, lastBytes] = [await journal.get('root-chain'), await journal.get('root-version')];
    let trust = loadTrust(fleetFile, rootFile, parts.now(), 0);
    if (kept !== null) {
      // From what ships: new firmware may name other keys in fleet.json, and then its own statement is the newer one.
      const next = extendTrust(trust, kept, parts.now());
      if (next.ok) trust = next.trust;
      else
        log.write('error', 'root-kept', `the kept root statement no longer follows: ${next.findings[0]?.rule ?? ''}`);
    }
    const last = numberOf(lastBytes);
    if (trust.version < last) {
      const found = `root statement ${trust.version}, and this device has seen ${last}`;
      throw new ConfigError('CONFIG_INVALID', `${found}: install firmware with a newer root.json`);
    }
    const keeper = new RootKeeper(parts, trust);
    if (trust.version > last) await keeper.#keep(trust);
    return keeper;
  }

  /** By what everything is judged now; ask again each time. */
  get trust(): Trust {
    return this.#trust;
  }

  async #keep(trust: Trust): Promise<void> {
    const { journal } = this.#parts;
    const version = Buffer.alloc(8);
    version.writeBigUInt64BE(BigInt(trust.version));
    // The statement first: a version without it would leave a device that knows only that it must not go back.
    await journal.put('root-chain', encodeRootFile(trust.links.map((link) => link.envelope)));
    await journal.put('root-version', version);
  }

  /** True when it is newer and from now on in force. Anybody may have sent it. Errors: StoreError. */
  async take(bytes: Uint8Array): Promise<boolean> {
    const { log } = this.#parts;
    const next = extendTrust(this.#trust, bytes, this.#parts.now());
    if (!next.ok) {
      const words = next.findings.map((one) => `${one.rule}: ${one.found}`).join('; ');
      log.write('warning', 'root-ignored', `root statement ignored: ${words}`);
      return false;
    }
    if (next.trust === this.#trust) return false;
    await this.#keep(next.trust);
    const before = this.#trust.version;
    this.#trust = next.trust;
    log.write('info', 'root', `root statement ${before} → ${next.trust.version}`, { version: next.trust.version });
    return true;
  }
}
