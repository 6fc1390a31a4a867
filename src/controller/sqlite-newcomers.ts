// What newcomers leave and bring, in the registry's database: credentials that nobody has opened yet, one-time tokens.
import type { Connection } from '../store/sqlite.ts';
import { REGISTRY_LIMITS } from './registry.ts';
import type { Credential, TokenRow } from './registry.ts';

export class NewcomerTables {
  readonly #sql;
  readonly #put: (credential: Credential, expired: number) => void;

  constructor(db: Connection) {
    this.#sql = {
      putCredential: db.prepare<[Buffer, Buffer, Buffer, number]>(
        'INSERT OR REPLACE INTO credential (request, bytes, secret, at) VALUES (?, ?, ?, ?)',
      ),
      pruneCredentials: db.prepare<[number, number]>(
        'DELETE FROM credential WHERE at < max(?, coalesce((SELECT at FROM credential ORDER BY at DESC LIMIT 1 OFFSET ?), 0))',
      ),
      credential: db.prepare<[Buffer], Credential>('SELECT * FROM credential WHERE request = ?'),
      dropCredential: db.prepare<[Buffer]>('DELETE FROM credential WHERE request = ?'),
      addToken: db.prepare<[TokenRow]>(
        'INSERT INTO token (digest, name, until) VALUES (@digest, @name, @until) ON CONFLICT DO NOTHING',
      ),
      takeToken: db.prepare<[string, number], { name: string }>(
        'DELETE FROM token WHERE digest = ? AND until >= ? RETURNING name',
      ),
      voidTokens: db.prepare<[]>('DELETE FROM token'),
    };
    const put = db.transaction(({ request, bytes, secret, at }: Credential, expired: number) => {
      this.#sql.putCredential.run(request, bytes, secret, at);
      this.#sql.pruneCredentials.run(expired, REGISTRY_LIMITS.credentials - 1);
    });
    this.#put = (credential, expired) => {
      put.immediate(credential, expired);
    };
  }

  putCredential(credential: Credential, expired: number): void {
    this.#put(credential, expired);
  }

  credential(request: Buffer): Credential | null {
    return this.#sql.credential.get(request) ?? null;
  }

  dropCredential(request: Buffer): void {
    this.#sql.dropCredential.run(request);
  }

  addToken(token: TokenRow): void {
    this.#sql.addToken.run(token);
  }

  takeToken(digest: string, now: number): string | null {
    return this.#sql.takeToken.get(digest, now)?.name ?? null;
  }

  voidTokens(): void {
    this.#sql.voidTokens.run();
  }
}
