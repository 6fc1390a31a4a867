// What a controller finds in an enrolment request: who asks, with which keys, and what is wrong with it. Pure but for certificates.
import { decode } from '../bytes/wire.ts';
import { fromHex, toHex } from '../bytes/text.ts';
import { readRequest } from '../crypto/certificates.ts';
import { equalBytes } from '../crypto/digest.ts';
import { checkEkCertificate, NO_REVOCATION } from '../crypto/ek-certificate.ts';
import type { EkCertificateCheck } from '../crypto/ek-certificate.ts';
import type { Endorsement, EnrolProof, EnrolRequest, Tier } from '../protocol/messages.ts';
import type { RuleId } from '../rules/catalogue.ts';
import type { Finding } from '../rules/finding.ts';
import { makeCredential } from '../tpm/make-credential.ts';
import type { Credential } from '../tpm/make-credential.ts';
import { TPM_RH } from '../tpm/wire/constants.ts';
import { objectName, qualifiedName } from '../tpm/wire/names.ts';
import { publicKeyOf } from '../tpm/wire/public-key.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
import { CERTIFICATE_CHECKS, PROOF_CHECKS, REQUEST_CHECKS, runCheck } from './newcomer-checks.ts';
import type { Asking, Certified, NewcomerCheck, Proving } from './newcomer-checks.ts';
import type { References } from './references.ts';
import type { Settings } from './settings.ts';

export interface Newcomer {
  readonly request: EnrolRequest;
  readonly ek: TpmtPublic;
  readonly ak: TpmtPublic;
  readonly akName: Buffer;
  readonly akQualifiedName: Buffer;
  readonly tier: Tier;
  readonly certificate: EkCertificateCheck;
  /** What an approval should know and need not stop it: no vendor certificate. */
  readonly warnings: readonly Finding[];
}

export type Read = { readonly newcomer: Newcomer } | { readonly refused: readonly Finding[] };

function finding(
  rule: RuleId,
  expected: string,
  found: string,
  status: Finding['status'] = 'contraindicated',
): Finding {
  return { rule, status, subject: 'device', expected, found, source: 'fleet' };
}

/** What its certificate names is no hardware, whoever signed it. */
export function saysSoftware({ tpm }: EkCertificateCheck): boolean {
  return /swtpm|software/i.test(`${tpm?.manufacturer ?? ''} ${tpm?.model ?? ''}`);
}

/** As an operator who knows this endorsement key to be of hardware lets it in; what is certified as software stays software. */
export function pinned(newcomer: Newcomer): Newcomer {
  const { tier, certificate } = newcomer;
  const isSoftware = certificate.faults.length === 0 || saysSoftware(certificate);
  return tier === 'software' && !isSoftware ? { ...newcomer, tier: 'pinned' } : newcomer;
}

/** A software TPM's certificate names itself; a chain to a software root proves no hardware whatever it names. */
function tierOf(request: EnrolRequest, ek: TpmtPublic, settings: Settings, now: number): [Tier, EkCertificateCheck] {
  if (request.ekCertificate === null) {
    return ['software', { faults: ['the TPM has no EK certificate'], chain: [], tpm: null, revocation: NO_REVOCATION }];
  }
  const { hardware: vendors, software: others, ...trust } = settings.ekTrust.current();
  const intermediates = [...trust.intermediates, ...request.ekChain];
  const check = (roots: typeof vendors): EkCertificateCheck =>
    checkEkCertificate(
      request.ekCertificate ?? Buffer.alloc(0),
      publicKeyOf(ek),
      { roots, intermediates, crls: trust.crls },
      now,
    );
  const hardware = check(vendors);
  if (hardware.faults.length === 0 && !saysSoftware(hardware)) return ['hardware', hardware];
  const software = check(others);
  return ['software', software.faults.length === 0 ? software : hardware];
}

/** Anybody may send a request, and node:crypto throws what it likes for a hostile key: nothing of that may end the daemon. */
function malformed(error: unknown): Finding {
  return finding('enrol-malformed', 'an enrolment request', error instanceof Error ? error.message : String(error));
}

/** A credential that only the newcomer's TPM can open, or why there is none. */
export function credentialFor({ ek, akName }: Newcomer, secret: Buffer): Credential | { readonly refused: Finding } {
  try {
    return makeCredential(ek, akName, secret);
  } catch (error) {
    return { refused: malformed(error) };
  }
}

/** Every check runs; what is wrong is a finding each. */
function findingsOf<Context>(checks: readonly NewcomerCheck<Context>[], context: Context): Finding[] {
  return checks.flatMap((check) => {
    const fault = runCheck(check, context);
    return fault === null ? [] : [finding(check.rule, fault.expected, fault.found)];
  });
}

/** Reads and checks a request; whoever sent it has proven nothing yet. Never throws for what the request is. */
export function readNewcomer(
  request: EnrolRequest,
  settings: Settings,
  references: References,
  now: number,
  checks: readonly NewcomerCheck<Asking>[] = REQUEST_CHECKS,
  certificateChecks: readonly NewcomerCheck<Certified>[] = CERTIFICATE_CHECKS,
): Read {
  try {
    const ek = decode(TpmtPublic, request.ekPublic, 'ekPublic');
    const ak = decode(TpmtPublic, request.akPublic, 'akPublic');
    const { commonName: csrName } = readRequest(request.tlsCsr);
    const profileDigest = references.profiles.get(request.profile)?.digest ?? null;
    const refused = findingsOf(checks, { request, ek, ak, csrName, fleetId: settings.fleetId, profileDigest });
    if (refused.length > 0) return { refused };
    const akName = objectName(ak);
    const [tier, certificate] = tierOf(request, ek, settings, now);
    const demanded = settings.file.ekCrls === 'demanded';
    const takenBack = findingsOf(certificateChecks, { certificate, demanded });
    if (takenBack.length > 0) return { refused: takenBack };
    const warnings = [
      ...certificate.faults.map((fault) =>
        finding('enrol-ek-certificate', 'a chain to a root of the operator', fault, 'warning'),
      ),
      ...certificate.revocation.unusable.map((why) =>
        finding('enrol-ek-crl', 'a revocation list that answers now', why, 'warning'),
      ),
    ];
    // Both keys must be ones that can be used, whatever the checks say of their form.
    publicKeyOf(ak);
    publicKeyOf(ek);
    const akQualifiedName = qualifiedName(TPM_RH.ENDORSEMENT, akName);
    return { newcomer: { request, ek, ak, akName, akQualifiedName, tier, certificate, warnings } };
  } catch (error) {
    return { refused: [malformed(error)] };
  }
}

/** What is wrong with a proof of this newcomer: that his two keys are of one TPM, which answers for this request. */
export function proofFindings(
  { ak, akQualifiedName }: Newcomer,
  proof: EnrolProof,
  sent: { readonly request: Buffer; readonly secret: Buffer },
  checks: readonly NewcomerCheck<Proving>[] = PROOF_CHECKS,
): Finding[] {
  return findingsOf(checks, { ...sent, proof, ak, akQualifiedName });
}

/** Whether an endorsement (hex fields) is of these very keys. */
export function sameKeys(endorsement: { ekPublic: string; akPublic: string }, request: EnrolRequest): boolean {
  return (
    equalBytes(fromHex(endorsement.ekPublic), request.ekPublic) &&
    equalBytes(fromHex(endorsement.akPublic), request.akPublic)
  );
}

/** What its enrolment ends with, once somebody let it in. */
export function endorsementOf(newcomer: Newcomer, settings: Settings, approvedBy: string, now: number): Endorsement {
  const { request, akQualifiedName, tier, certificate } = newcomer;
  return {
    v: 1,
    fleetId: settings.trust.fleet.fleetId,
    deviceId: request.deviceId,
    ekPublic: toHex(request.ekPublic),
    akPublic: toHex(request.akPublic),
    akQualifiedName: toHex(akQualifiedName),
    tier,
    tpm: certificate.tpm,
    chain: certificate.chain,
    profile: request.profile,
    approvedBy,
    issuedAt: now,
  };
}
