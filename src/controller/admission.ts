// Who is let in without a person at the moment: by an operator's list, by a factory's batch, by a one-time token.
import { toHex } from '../bytes/text.ts';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import type { Log } from '../log.ts';
import { objectName } from '../tpm/wire/names.ts';
import type { AllowList } from './allow-list.ts';
import type { BatchShelf } from './batch-shelf.ts';
import type { Newcomer } from './newcomer.ts';
import type { Tokens } from './tokens.ts';

export interface AdmissionParts {
  readonly tokens: Tokens;
  readonly allowed: AllowList;
  readonly batches: Pick<BatchShelf, 'find'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** A file of the operator's that is damaged lets nobody in, and does not end the daemon: newcomers make us look into it. */
  #consult<T>(look: () => T): T | null {
    try {
      return look();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#parts.log.write('error', 'config', `nobody is let in by it: ${error.message}`);
      return null;
    }
  }

  /** An operator has seen that this key is in a hardware TPM. A batch says nothing of that. */
  isPinned({ ek }: Newcomer): boolean {
    return this.#consult(() => this.#parts.allowed.find(toHex(objectName(ek))))?.pinned === true;
  }

  /** Who let this key in beforehand, as an endorsement says it; null when nobody did. */
  beforehand({ ek, request }: Newcomer): string | null {
    const { allowed, batches } = this.#parts;
    const ekName = toHex(objectName(ek));
    const entry = this.#consult(() => allowed.find(ekName));
    if (entry !== null) return `allow-list ${entry.note}`;
    const batch = batches.find(ekName, request.profile);
    return batch === null ? null : `batch ${batch}`;
  }

  /** Uses up the token that a request brings; who let the device in by it, or null. Errors: StoreError. */
  async byToken(token: string | null): Promise<string | null> {
    const { tokens, clock } = this.#parts;
    const name = token === null ? null : await tokens.take(token, clock.now());
    return name === null ? null : `token ${name}`;
  }
}
