// The broker certificates in the registry's database: which are out, and which were taken back.
import type { Connection } from '../store/sqlite.ts';
import { REGISTRY_LIMITS } from './registry.ts';
import type { IssuedCertificate } from './registry.ts';

export class CertificateTable {
  readonly #sql;

  constructor(db: Connection) {
    this.#sql = {
      of: db.prepare<[string, number], IssuedCertificate>(
        `SELECT serial, device, key, not_after AS notAfter, pem FROM certificate
         WHERE device = ? AND revoked = 0 AND not_after > ? ORDER BY not_after`,
      ),
      add: db.prepare<[object]>(
        `INSERT INTO certificate (serial, device, key, not_after, pem) SELECT @serial, id, @key, @notAfter, @pem FROM device
         WHERE id = @device AND state IN ('approved', 'quarantined')`,
      ),
      prune: db.prepare<[number]>('DELETE FROM certificate WHERE not_after < ?'),
      revoke: db.prepare<[string]>('UPDATE certificate SET revoked = 1 WHERE device = ?'),
      revokeOne: db.prepare<[string, number], { device: string }>(
        `INSERT INTO certificate (serial, device, key, not_after, pem, revoked) VALUES (?, '', '', ?, '', 1)
         ON CONFLICT (serial) DO UPDATE SET revoked = 1 RETURNING device`,
      ),
      revoked: db.prepare<[number], { serial: string }>(
        'SELECT serial FROM certificate WHERE revoked = 1 AND not_after > ? ORDER BY serial',
      ),
    };
  }

  of(device: string, now: number): IssuedCertificate[] {
    return this.#sql.of.all(device, now);
  }

  add(certificate: IssuedCertificate, now: number): boolean {
    this.#sql.prune.run(now - REGISTRY_LIMITS.certificateAfterEnd);
    return this.#sql.add.run(certificate).changes === 1;
  }

  /** All of this device. */
  revoke(device: string): void {
    this.#sql.revoke.run(device);
  }

  /** Null: it was not known. */
  revokeOne(serial: string, notAfter: number): string | null {
    const device = this.#sql.revokeOne.get(serial, notAfter)?.device ?? '';
    return device === '' ? null : device;
  }

  revoked(now: number): string[] {
    return this.#sql.revoked.all(now - REGISTRY_LIMITS.certificateAfterEnd).map(({ serial }) => serial);
  }
}
