// The key that makes challenges the controller's own: another one for each life of the registry.
import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { toUtf8 } from '../bytes/text.ts';
import { hmacSha256, sha256 } from '../crypto/digest.ts';

export class ChallengeKeys {
  readonly #base: Buffer;
  /** The same map for as long as this lives: who holds it sees the change. */
  readonly #keys = new Map<string, KeyObject>();
  #kid = '';

  /** `base`: 32 secret bytes, the same for all controllers of a registry. */
  constructor(base: Buffer) {
    this.#base = base;
    this.use(null);
  }

  get kid(): string {
    return this.#kid;
  }

  get key(): KeyObject {
    const key = this.#keys.get(this.#kid);
    if (key === undefined) throw new TypeError('there is always a key');
    return key;
  }

  /** Key id → key: what a challenge that comes back may be sealed with. */
  get keys(): ReadonlyMap<string, KeyObject> {
    return this.#keys;
  }

  /** From now on the key of this life of the registry, and no other; null is its first. False when nothing changed. */
  use(life: Buffer | null): boolean {
    const secret =
      life === null
        ? this.#base
        : hmacSha256(createSecretKey(this.#base), Buffer.concat([toUtf8('touchstone/challenge-key/1'), life]));
    const kid = sha256(secret).toString('hex').slice(0, 16);
    if (kid === this.#kid) return false;
    this.#keys.clear();
    this.#keys.set(kid, createSecretKey(secret));
    this.#kid = kid;
    return true;
  }
}
