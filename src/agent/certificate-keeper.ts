// Renews the device's broker certificate before it runs out: asks for one of a new key in evidence, and goes on with the old until it has it.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { TouchstoneError } from '../errors.ts';
import type { Claims } from '../evidence/claims.ts';
import type { Log } from '../log.ts';
import { decodeCertificateMessage } from '../protocol/codec.ts';
import type { Journal } from '../store/journal.ts';

export interface CertificateKeeperParts {
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly deviceId: string;
  /** Certificates of the fleet's authority, PEM: whoever signed the device's own. */
  readonly caPem: string;
  readonly log: Log;
  /** Device time, ms. */
  now(): number;
  /** A new P-256 key (PKCS#8 PEM) and a PKCS#10 request (DER) made with it. */
  makeTlsKey(commonName: string): Promise<{ readonly keyPem: string; readonly csr: Buffer }>;
}

/** A certificate is renewed when less than this part of its life is left. */
const LAST_PART = 1 / 3;

interface Life {
  readonly from: number;
  readonly to: number;
}

function lifeOf(pem: string): Life {
  const { validFrom, validTo } = new X509Certificate(pem);
  return { from: Date.parse(validFrom), to: Date.parse(validTo) };
}

/** Puts a renewed certificate in the place of the old one; may be cut at any step, and is then done again. */
export async function settleRenewal(journal: Pick<Journal, 'get' | 'put'>): Promise<void> {
  const [certificate, key] = [await journal.get('next-certificate'), await journal.get('next-tls-key')];
  if (certificate === null || key === null) return;
  await journal.put('tls-key', key);
  await journal.put('certificate', certificate);
  await journal.put('next-certificate', null);
  await forgetRenewal(journal);
}

/** What was asked for is not wanted any more. */
export async function forgetRenewal(journal: Pick<Journal, 'put'>): Promise<void> {
  await journal.put('next-certificate', null);
  await journal.put('next-tls-key', null);
  await journal.put('next-csr', null);
}

export class CertificateKeeper {
  readonly #parts: CertificateKeeperParts;
  /** Of the certificate that is there; null: not looked at yet. */
  #life: Life | null = null;
  /** Once in a start of the agent is enough: by a clock that is wrong every certificate has run out. */
  #renewed = false;

  constructor(parts: CertificateKeeperParts) {
    this.#parts = parts;
  }

  async #isDue(): Promise<boolean> {
    if (this.#renewed) return false;
    if (this.#life === null) {
      const certificate = await this.#parts.journal.get('certificate');
      if (certificate === null) return false;
      this.#life = lifeOf(certificate.toString());
    }
    const { from, to } = this.#life;
    return this.#parts.now() > to - (to - from) * LAST_PART;
  }

  /** The device enrolled anew, and has another certificate. */
  enrolled(): void {
    this.#life = null;
    this.#renewed = false;
  }

  /** What evidence says of it: a request while one is due; the same one until it is answered. Errors: StoreError. */
  async claims(): Promise<Pick<Claims, 'tlsCsr'>> {
    if (!(await this.#isDue())) return {};
    const { journal, deviceId, log } = this.#parts;
    const kept = await journal.get('next-csr');
    if (kept !== null) return { tlsCsr: kept };
    log.write('info', 'certificate', 'the broker certificate runs out: a new one is asked for');
    const { keyPem, csr } = await this.#parts.makeTlsKey(deviceId);
    await journal.put('next-tls-key', Buffer.from(keyPem));
    await journal.put('next-csr', csr);
    return { tlsCsr: csr };
  }

  /** Why this is not the certificate that was asked for; null when it is. Anybody at the broker may have sent it. */
  #fault(pem: string, keyPem: string): string | null {
    const { deviceId, caPem } = this.#parts;
    const certificate = new X509Certificate(pem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return 'it is of another key than was asked for';
    if (certificate.subject !== `CN=${deviceId}`) return 'it is in another name';
    const authorities = caPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const signed = authorities.some((one) => {
      const authority = new X509Certificate(one);
      return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
    });
    if (!signed) return 'the fleet’s authority did not sign it';
    const { to } = lifeOf(pem);
    return to > (this.#life?.to ?? 0) ? null : 'it ends no later than the one that is there';
  }

  /** True when a certificate that was asked for is in force from now on. Errors: StoreError. */
  async take(bytes: Uint8Array): Promise<boolean> {
    const { journal, log } = this.#parts;
    const key = await journal.get('next-tls-key');
    if (key === null) return false;
    let fault: string | null;
    let certificate = '';
    try {
      ({ certificate } = decodeCertificateMessage(bytes));
      fault = this.#fault(certificate, key.toString());
    } catch (error) {
      // node:crypto throws what it likes for bytes that are no certificate.
      if (error instanceof TouchstoneError && !error.code.startsWith('WIRE_')) throw error;
      fault = error instanceof Error ? error.message : String(error);
    }
    if (fault !== null) {
      log.write('warning', 'certificate', `a broker certificate was not taken: ${fault}`);
      return false;
    }
    await journal.put('next-certificate', Buffer.from(certificate));
    await settleRenewal(journal);
    this.#renewed = true;
    log.write('info', 'certificate', 'the broker certificate is renewed');
    return true;
  }
}
