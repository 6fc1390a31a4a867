// Broker certificates: issued once for each key, renewed for devices that ask in accepted evidence, and taken back with their device.
import { X509Certificate } from 'node:crypto';
import { toHex } from '../bytes/text.ts';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { issueCertificate, readRequest } from '../crypto/certificates.ts';
import { sha256 } from '../crypto/digest.ts';
import { TouchstoneError, WireError } from '../errors.ts';
import type { Log } from '../log.ts';
import { encodeCertificateMessage } from '../protocol/codec.ts';
import { crlPath, writeBrokerCrl } from './broker-crl.ts';
import type { Registry } from './registry.ts';
import type { Settings } from './settings.ts';

const DAY_MS = 86_400_000;
const CERTIFICATE_MS = 2 * 365 * DAY_MS;
/** A certificate that has longer to go is given again for the same key. */
const SAME_AGAIN_MS = CERTIFICATE_MS / 2;
/** Certificates that one device may have at once: another key is certified when the oldest has run out. */
const MAX_PER_DEVICE = 8;

/** A serial number as node gives it. */
function comparableSerial(serial: string): string {
  const digits = serial.replace(/^0+(?=.)/, '').toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

export interface CertificateOfficeParts {
  readonly settings: Pick<Settings, 'authority' | 'stateDir' | 'file' | 'tls'>;
  readonly registry: Pick<Registry, 'certificates' | 'addCertificate' | 'revokeCertificate' | 'revokedCertificates'>;
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class CertificateOffice {
  readonly #parts: CertificateOfficeParts;

  constructor(parts: CertificateOfficeParts) {
    this.#parts = parts;
  }

  /**
   * A client certificate in the name of `device` for the key of this request (PKCS#10), PEM; null when the device has too many, or is
   * not of the fleet. It is in the registry before it is handed out, so that it can be taken back. Errors: WireError for a request that does not hold;
   * StoreError.
   */
  async issue(device: string, csr: Uint8Array): Promise<string | null> {
    const { settings, registry, clock } = this.#parts;
    const { publicKey } = readRequest(csr);
    const key = toHex(sha256(publicKey.export({ type: 'spki', format: 'der' })));
    const now = clock.now();
    const held = await registry.certificates(device, now);
    const same = held.find((one) => one.key === key && one.notAfter - now > SAME_AGAIN_MS);
    if (same !== undefined) return same.pem;
    if (held.length >= MAX_PER_DEVICE) return null;
    const notAfter = now + CERTIFICATE_MS;
    const leaf = { publicKey, notBefore: now - DAY_MS, notAfter, names: [] };
    const pem = issueCertificate({ ...leaf, commonName: device, use: 'client' }, settings.authority);
    const { serialNumber: serial } = new X509Certificate(pem);
    return (await registry.addCertificate({ serial, device, key, notAfter, pem }, now)) ? pem : null;
  }

  /** A device of the fleet asks in accepted evidence for a certificate of a new key. Errors: StoreError; BusError. */
  async renew(device: string, csr: Uint8Array): Promise<void> {
    const { bus, log } = this.#parts;
    try {
      const { commonName } = readRequest(csr);
      if (commonName !== device) {
        log.write('warning', 'certificate', `${device} asks for a certificate in another name: refused`, { device });
        return;
      }
      const certificate = await this.issue(device, csr);
      if (certificate === null) {
        log.write(
          'warning',
          'certificate',
          `${device} has ${MAX_PER_DEVICE} certificates already, or is retired: no new one`,
          { device },
        );
        return;
      }
      await bus.publish(downTopic(device, 'certificate'), encodeCertificateMessage({ v: 1, certificate }));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      log.write('warning', 'certificate', `${device} asks for a certificate: ${error.message}`, { device });
    }
  }

  /**
   * Takes back one certificate by its serial number (hex), also one that was given out before certificates were kept, or by a thief of
   * the authority's key. Resolves to the device that it is of; null: not known. Errors: TouchstoneError CONTROL_REFUSED; StoreError.
   */
  async takeBack(serial: string): Promise<string | null> {
    const { settings, registry, clock, log } = this.#parts;
    const number = comparableSerial(serial);
    const own = [settings.tls.certPem, settings.authority.pem].map((pem) => new X509Certificate(pem).serialNumber);
    if (own.map(comparableSerial).includes(number)) {
      throw new TouchstoneError(
        'CONTROL_REFUSED',
        'it is a certificate of the controller or its authority: the broker would take nobody',
      );
    }
    // None that this authority gave out lives longer.
    const device = await registry.revokeCertificate(number, clock.now() + CERTIFICATE_MS);
    log.write(
      'warning',
      'certificate',
      `certificate ${number} of ${device ?? 'a device not known here'} is taken back`,
    );
    await this.publish();
    return device;
  }

  /** Writes the list of those taken back where the broker reads it; true when it says something else than before. Errors: StoreError. */
  async publish(): Promise<boolean> {
    const { settings, registry, clock, log } = this.#parts;
    const now = clock.now();
    const path = crlPath(settings.stateDir, settings.file.brokerCrl);
    try {
      const written = await writeBrokerCrl(path, await registry.revokedCertificates(now), settings.authority, now);
      if (written)
        log.write('info', 'broker-crl', `${path} is new: the broker reads it at SIGHUP and at its next start`);
      return written;
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error;
      log.write(
        'error',
        'broker-crl',
        `${path} cannot be written: retired devices may still connect: ${error.message}`,
      );
      return false;
    }
  }
}
