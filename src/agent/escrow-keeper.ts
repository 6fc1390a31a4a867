// Keeps the TPM's auth values with the fleet: sealed to the escrow key of the root, in the evidence until the controller has them.
import { fromHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import type { Claims } from '../evidence/claims.ts';
import { sealEscrow } from '../evidence/escrow.ts';
import type { EscrowOf } from '../evidence/escrow.ts';
import type { Log } from '../log.ts';
import { escrowKeyOf } from '../release/root-keys.ts';
import type { RootStatement } from '../release/types.ts';
import type { Journal } from '../store/journal.ts';

export interface EscrowKeeperParts {
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly log: Log;
  /** Exact bytes of the file of the values (tpm-ownership.ts); null: this TPM is nobody's. */
  readonly secret: Buffer | null;
  readonly of: EscrowOf;
  /** In force now: nobody else names the key that the values are sealed to. */
  root(): RootStatement;
}

/** What is with the fleet: SHA-256 of (key id ‖ SHA-256 of the file). No secret follows from it: the values are 96 random bytes. */
function markOf(keyId: string, secret: Buffer): Buffer {
  return sha256(fromHex(keyId), sha256(secret));
}

export class EscrowKeeper {
  readonly #parts: EscrowKeeperParts;
  /** Sealed once a start and key: sealing is never the same twice, and the controller names what it has by its digest. */
  #sealed: { readonly mark: Buffer; readonly bytes: Buffer } | null = null;

  constructor(parts: EscrowKeeperParts) {
    this.#parts = parts;
  }

  /** What evidence carries: nothing where there is nothing to keep, no key to seal to, or the controller has it. */
  async claims(): Promise<Pick<Claims, 'escrow'>> {
    const { journal, secret, of } = this.#parts;
    const key = escrowKeyOf(this.#parts.root());
    if (key === null || secret === null) return {};
    const mark = markOf(key.id, secret);
    if ((await journal.get('escrowed'))?.equals(mark) === true) return {};
    if (this.#sealed?.mark.equals(mark) !== true) this.#sealed = { mark, bytes: sealEscrow(key.key, secret, of) };
    return { escrow: this.#sealed.bytes };
  }

  /** A result that was taken names what the controller keeps, hex of its SHA-256. Errors: StoreError. */
  async kept(digest: string | undefined): Promise<void> {
    if (this.#sealed === null || digest === undefined) return;
    if (!sha256(this.#sealed.bytes).equals(fromHex(digest))) return;
    await this.#parts.journal.put('escrowed', this.#sealed.mark);
    this.#parts.log.write(
      'info',
      'escrow',
      "the fleet keeps the auth values of this TPM, sealed to its root's escrow key",
    );
    this.#sealed = null;
  }
}
