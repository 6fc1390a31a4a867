// What a device keeps of its enrolment: its TLS key, the request it made, and the papers it got. All in the journal (0600).
import type { LoadedProfile } from '../profile/profile.ts';
import { WireError } from '../errors.ts';
import { decodeEnrolRequest, encodeEnrolRequest } from '../protocol/codec.ts';
import type { EnrolRequest } from '../protocol/messages.ts';
import type { Journal } from '../store/journal.ts';
import type { TpmIdentity } from '../tpm/port.ts';
import { forgetRenewal, settleRenewal } from './certificate-keeper.ts';
import type { Papers } from './phase.ts';

export interface PaperFolderParts {
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly identity: TpmIdentity;
  readonly fleetId: Uint8Array;
  readonly deviceId: string;
  readonly profile: LoadedProfile;
  /** One-time word that lets a device in without waiting for a person. */
  readonly token: string | null;
  /** A new P-256 key (PKCS#8 PEM) and a PKCS#10 request (DER) made with it. */
  makeTlsKey(commonName: string): Promise<{ readonly keyPem: string; readonly csr: Buffer }>;
}

export class PaperFolder {
  readonly #parts: PaperFolderParts;

  constructor(parts: PaperFolderParts) {
    this.#parts = parts;
  }

  /** Null: not enrolled, or enrolled with another TPM than the one that is here now. */
  async papers(): Promise<Papers | null> {
    const { journal, identity } = this.#parts;
    await settleRenewal(journal);
    const [akName, endorsement, certificate, tlsKey] = await Promise.all([
      journal.get('ak-name'),
      journal.get('endorsement'),
      journal.get('certificate'),
      journal.get('tls-key'),
    ]);
    if (akName === null || endorsement === null || certificate === null || tlsKey === null) return null;
    if (!akName.equals(identity.akName)) return null;
    return { endorsement: endorsement.toString(), certificate: certificate.toString(), tlsKey: tlsKey.toString() };
  }

  /** Keeps what was approved; the name of the AK last, because with it the papers count. */
  async keep(papers: Pick<Papers, 'endorsement' | 'certificate'>): Promise<void> {
    const { journal, identity } = this.#parts;
    await forgetRenewal(journal);
    await journal.put('endorsement', Buffer.from(papers.endorsement));
    await journal.put('certificate', Buffer.from(papers.certificate));
    await journal.put('ak-name', Buffer.from(identity.akName));
    await journal.put('enrol-request', null);
  }

  /** The request of an enrolment that has begun, or a new one. The same bytes over restarts: its digest is what the controller answers. */
  async request(): Promise<Buffer> {
    const { journal, identity, deviceId, profile, token } = this.#parts;
    const kept = await journal.get('enrol-request');
    if (kept !== null && (await journal.get('tls-key')) !== null && this.#stillTrue(kept)) return kept;
    const { keyPem, csr } = await this.#parts.makeTlsKey(deviceId);
    const request: EnrolRequest = {
      v: 1,
      fleetId: this.#parts.fleetId,
      deviceId,
      ekPublic: identity.ekPublic,
      ekCertificate: identity.ekCertificate ?? null,
      ekChain: identity.ekChain ?? [],
      akPublic: identity.akPublic,
      tlsCsr: csr,
      profile: profile.profile.id,
      profileDigest: profile.digest,
      token,
    };
    const bytes = encodeEnrolRequest(request);
    // Who enrols again keeps no certificate of a key that is not there any more.
    await journal.put('certificate', null);
    await journal.put('tls-key', Buffer.from(keyPem));
    await journal.put('enrol-request', bytes);
    return bytes;
  }

  #stillTrue(kept: Buffer): boolean {
    const { identity, deviceId, profile, token } = this.#parts;
    try {
      const request = decodeEnrolRequest(kept);
      return (
        request.deviceId === deviceId &&
        identity.ekPublic.equals(request.ekPublic) &&
        identity.akPublic.equals(request.akPublic) &&
        profile.digest.equals(request.profileDigest) &&
        request.token === token
      );
    } catch (error) {
      if (error instanceof WireError) return false;
      throw error;
    }
  }
}
