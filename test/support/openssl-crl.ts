// Certificate revocation lists as the openssl command makes them.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';

export interface CrlPlan {
  /** Serial numbers that are taken back, in hex. */
  readonly revoked?: readonly string[];
  /** ms since 1970. */
  readonly from: number;
  readonly until: number;
  readonly hash?: string;
  /** Lines of the section that `crl_extensions` names. */
  readonly extensions?: readonly string[];
  readonly reason?: string;
}

/** `20260101000000Z`. */
const stamp = (ms: number): string => `${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;

/** A list of this issuer in DER. */
export function opensslCrl(issuer: { readonly key: KeyObject; readonly pem: string }, plan: CrlPlan): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'crl-'));
  const at = (name: string): string => join(dir, name);
  try {
    writeFileSync(at('key.pem'), issuer.key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(at('ca.pem'), issuer.pem);
    const reason = plan.reason === undefined ? '' : `,${plan.reason}`;
    const lines = (plan.revoked ?? []).map(
      (serial) =>
        `R\t400101000000Z\t${stamp(plan.from).slice(2)}${reason}\t${serial.toUpperCase()}\tunknown\t/CN=TPM\n`,
    );
    writeFileSync(at('index.txt'), lines.join(''));
    writeFileSync(at('number'), '01\n');
    const config = [
      '[ca]',
      'default_ca = one',
      '[one]',
      `database = ${at('index.txt')}`,
      `crlnumber = ${at('number')}`,
      `default_md = ${plan.hash ?? 'sha256'}`,
      'crl_extensions = more',
      '[more]',
      ...(plan.extensions ?? ['authorityKeyIdentifier = issuer:always']),
      '',
    ];
    writeFileSync(at('ca.conf'), config.join('\n'));
    const asked = ['ca', '-config', at('ca.conf'), '-gencrl', '-keyfile', at('key.pem'), '-cert', at('ca.pem')];
    const times = ['-crl_lastupdate', stamp(plan.from), '-crl_nextupdate', stamp(plan.until)];
    execFileSync('openssl', [...asked, ...times, '-out', at('crl.pem')], { stdio: 'pipe' });
    execFileSync('openssl', ['crl', '-in', at('crl.pem'), '-outform', 'DER', '-out', at('crl.der')], { stdio: 'pipe' });
    return readFileSync(at('crl.der'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
