// Which TPM a device has: vendor, model and firmware as its endorsement key's certificate names them.
import { fromHex } from '../bytes/text.ts';
import { tpmInCertificate } from '../crypto/ek-certificate.ts';
import type { TpmDescription } from '../crypto/ek-certificate.ts';
import { decodeEnrolRequest } from '../protocol/codec.ts';
import type { DeviceRow, Registry } from './registry.ts';
import type { Roster } from './roster.ts';

/** Words of the certificate; where no root vouches for it (`tier` software) they are the device's own. */
export interface TpmView extends TpmDescription {
  /** The vendor's registered letters, as `STM` for id:53544D20; null where the certificate has something else. */
  readonly vendor: string | null;
}

function vendorOf(manufacturer: string): string | null {
  const hex = /^id:([0-9a-f]{8})$/i.exec(manufacturer)?.[1];
  const letters =
    hex === undefined
      ? ''
      : fromHex(hex.toLowerCase())
          .toString('latin1')
          .replace(/[\0 ]+$/, '');
  return /^[A-Za-z0-9 ]{1,4}$/.test(letters) ? letters : null;
}

export interface TpmViewParts {
  readonly registry: Pick<Registry, 'enrolment'>;
  readonly roster: Pick<Roster, 'get'>;
}

/** Null where no certificate says so. Errors: StoreError. */
export async function tpmView({ id, state }: DeviceRow, { registry, roster }: TpmViewParts): Promise<TpmView | null> {
  const endorsed = roster.get(id)?.endorsement?.endorsement.tpm ?? null;
  const waiting = endorsed === null && state === 'pending' ? await registry.enrolment(id) : null;
  const certificate = waiting === null ? null : decodeEnrolRequest(waiting.request).ekCertificate;
  const tpm = endorsed ?? (certificate === null ? null : tpmInCertificate(certificate));
  return tpm === null ? null : { ...tpm, vendor: vendorOf(tpm.manufacturer) };
}
