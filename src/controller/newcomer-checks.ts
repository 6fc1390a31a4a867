// Every check of a newcomer, by name and in order: of the request, and of the proof that its two keys are of one TPM.
import { createSecretKey } from 'node:crypto';
import { toHex } from '../bytes/text.ts';
import { decode } from '../bytes/wire.ts';
import { equalBytes, hmacSha256 } from '../crypto/digest.ts';
import type { EkCertificateCheck } from '../crypto/ek-certificate.ts';
import { WireError } from '../errors.ts';
import { enrolQualifyingData } from '../evidence/binding.ts';
import { deviceId } from '../evidence/device-id.ts';
import type { EnrolProof, EnrolRequest } from '../protocol/messages.ts';
import type { EnrolmentRuleId } from '../rules/enrolment-rules.ts';
import { TPM_ALG, TPM_ECC } from '../tpm/wire/constants.ts';
import { TpmsAttest } from '../tpm/wire/attest.ts';
import { objectName } from '../tpm/wire/names.ts';
import { publicKeyOf, verifyTpmSignature } from '../tpm/wire/public-key.ts';
import type { TpmtPublic } from '../tpm/wire/public.ts';
import { TpmtSignature } from '../tpm/wire/signature.ts';
import { AK_ATTRIBUTES } from '../tpm/wire/templates.ts';

/** What is wrong, in the words of a finding; null when nothing is. */
export type Fault = { readonly expected: string; readonly found: string } | null;

export interface NewcomerCheck<Context> {
  readonly name: string;
  readonly rule: EnrolmentRuleId;
  /** Errors: WireError for bytes that are not of their format, which is then the fault. */
  readonly run: (context: Context) => Fault;
}

/** A request as it was read; nothing in it is proven. */
export interface Asking {
  readonly request: EnrolRequest;
  readonly ek: TpmtPublic;
  readonly ak: TpmtPublic;
  /** Common name in the certificate request, whose own signature is valid. */
  readonly csrName: string;
  readonly fleetId: Uint8Array;
  /** Digest of the controller's copy of the profile that the request names; null when it has none. */
  readonly profileDigest: Uint8Array | null;
}

/** What was found of the certificate of its endorsement key. */
export interface Certified {
  readonly certificate: EkCertificateCheck;
  /** The operator takes no certificate for which no revocation list answers. */
  readonly demanded: boolean;
}

/** A proof, with what it must fit. */
export interface Proving {
  readonly proof: EnrolProof;
  /** SHA-256 of the request. */
  readonly request: Buffer;
  readonly ak: TpmtPublic;
  readonly akQualifiedName: Buffer;
  /** What the credential held. */
  readonly secret: Buffer;
}

function same(expected: string, found: string): Fault {
  return expected === found ? null : { expected, found };
}

export const REQUEST_CHECKS: readonly NewcomerCheck<Asking>[] = [
  {
    name: 'fleet',
    rule: 'enrol-fleet',
    run: ({ request, fleetId }) => same(toHex(fleetId), toHex(request.fleetId)),
  },
  {
    // Stops who would like to be a device whose id he knows.
    name: 'id',
    rule: 'enrol-id',
    run: ({ request, ek, fleetId }) => same(deviceId(fleetId, objectName(ek)), request.deviceId),
  },
  {
    // Stops a broker certificate in another name.
    name: 'certificate-request',
    rule: 'enrol-request',
    run: ({ request, csrName }) => same(request.deviceId, csrName),
  },
  {
    name: 'profile',
    rule: 'enrol-profile',
    run: ({ request, profileDigest }) => {
      const found = toHex(request.profileDigest);
      if (profileDigest === null)
        return { expected: 'a profile of this controller', found: `${request.profile} ${found}` };
      return same(toHex(profileDigest), found);
    },
  },
  {
    // Stops a key that signs whatever its owner gives it, and so can forge quotes.
    name: 'ak-attributes',
    rule: 'enrol-ak-attributes',
    run: ({ ak }) => same(`0x${AK_ATTRIBUTES.toString(16)}`, `0x${ak.attributes.toString(16)}`),
  },
  {
    name: 'ak-scheme',
    rule: 'enrol-ak-scheme',
    run: ({ ak: { area, nameAlg, authPolicy } }) => {
      const fits =
        area.type === 'ecc' &&
        area.curve === TPM_ECC.NIST_P256 &&
        area.scheme?.scheme === TPM_ALG.ECDSA &&
        area.scheme.hash === TPM_ALG.SHA256 &&
        nameAlg === TPM_ALG.SHA256 &&
        authPolicy.length === 0;
      return fits ? null : { expected: 'ECC P-256, ECDSA with SHA-256, no policy', found: `another ${area.type} key` };
    },
  },
];

export const CERTIFICATE_CHECKS: readonly NewcomerCheck<Certified>[] = [
  {
    // Whoever has the private key of a revoked certificate can be any number of genuine TPMs.
    name: 'revoked',
    rule: 'enrol-ek-revoked',
    run: ({ certificate: { revocation } }) =>
      revocation.revoked.length === 0
        ? null
        : { expected: 'certificates that their issuers stand by', found: revocation.revoked.join('; ') },
  },
  {
    // A certificate that vouches for nothing need not be asked about.
    name: 'revocation-answered',
    rule: 'enrol-ek-crl',
    run: ({ certificate: { faults, revocation }, demanded }) =>
      !demanded || faults.length > 0 || revocation.unanswered.length === 0
        ? null
        : {
            expected: 'a revocation list that answers now, for every certificate below the root',
            found: [`none for ${revocation.unanswered.join(', ')}`, ...revocation.unusable].join('; '),
          },
  },
];

const ANSWERS = 'a quote by the attestation key over this request';

function attestOf({ proof }: Proving): TpmsAttest {
  return decode(TpmsAttest, proof.attest, 'attest');
}

export const PROOF_CHECKS: readonly NewcomerCheck<Proving>[] = [
  {
    // Only the TPM that has both keys can open the credential.
    name: 'credential',
    rule: 'enrol-credential',
    run: ({ proof, request, secret }) =>
      equalBytes(hmacSha256(createSecretKey(secret), request), proof.proof)
        ? null
        : { expected: 'HMAC with what the credential held', found: 'another value' },
  },
  {
    name: 'quote-signature',
    rule: 'enrol-quote',
    run: ({ proof, ak }) => {
      const signature = decode(TpmtSignature, proof.signature, 'signature');
      const signed = verifyTpmSignature(publicKeyOf(ak), proof.attest, signature);
      return signed ? null : { expected: ANSWERS, found: 'a signature that is not by it' };
    },
  },
  {
    name: 'quote-type',
    rule: 'enrol-quote',
    run: (proving) => {
      const { type } = attestOf(proving).attested;
      return type === 'quote' ? null : { expected: ANSWERS, found: `a statement of type ${type}` };
    },
  },
  {
    // A key outside the endorsement hierarchy has another qualified name, and could be anybody's.
    name: 'quote-signer',
    rule: 'enrol-quote',
    run: (proving) =>
      equalBytes(attestOf(proving).qualifiedSigner, proving.akQualifiedName)
        ? null
        : { expected: ANSWERS, found: 'another qualified name' },
  },
  {
    name: 'quote-data',
    rule: 'enrol-quote',
    run: (proving) =>
      equalBytes(attestOf(proving).extraData, enrolQualifyingData(proving.request))
        ? null
        : { expected: ANSWERS, found: 'a quote over something else' },
  },
];

/** Runs a check; bytes that are not of their format are its fault. */
export function runCheck<Context>(check: NewcomerCheck<Context>, context: Context): Fault {
  try {
    return check.run(context);
  } catch (error) {
    if (error instanceof WireError) return { expected: 'bytes of the declared format', found: error.message };
    throw error;
  }
}
