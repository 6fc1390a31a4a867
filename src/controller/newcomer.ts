// What a controller finds in an enrolment request: who asks, with which keys, and what is wrong with it. Pure but for certificates.
import { decode } from '../bytes/wire.ts';
import { fromHex, toHex } from '../bytes/text.ts';
import { readRequest } from '../crypto/certificates.ts';
import { equalBytes } from '../crypto/digest.ts';
import { checkEkCertificate } from '../crypto/ek-certificate.ts';
import type { EkCertificateCheck } from '../crypto/ek-certificate.ts';
import { WireError } from '../errors.ts';
import { deviceId } from '../evidence/device-id.ts';
import type { EnrolRequest, Tier } from '../protocol/messages.ts';
import type { RuleId } from '../rules/catalogue.ts';
import type { Finding } from '../rules/finding.ts';
import { AK_ATTRIBUTES } from '../tpm/wire/templates.ts';
import { TPM_ALG, TPM_ECC, TPM_RH } from '../tpm/wire/constants.ts';
import { objectName, qualifiedName } from '../tpm/wire/names.ts';
import { publicKeyOf } from '../tpm/wire/public-key.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
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

/** A software TPM's certificate names itself; a chain to a software root proves no hardware whatever it names. */
function tierOf(request: EnrolRequest, ek: TpmtPublic, settings: Settings, now: number): [Tier, EkCertificateCheck] {
  if (request.ekCertificate === null) {
    return ['software', { faults: ['the TPM has no EK certificate'], chain: [], tpm: null }];
  }
  const intermediates = [...settings.ekIntermediates, ...request.ekChain];
  const check = (roots: Settings['ekRoots']['hardware']): EkCertificateCheck =>
    checkEkCertificate(request.ekCertificate ?? Buffer.alloc(0), publicKeyOf(ek), { roots, intermediates }, now);
  const hardware = check(settings.ekRoots.hardware);
  const saysSoftware = /swtpm|software/i.test(`${hardware.tpm?.manufacturer ?? ''} ${hardware.tpm?.model ?? ''}`);
  if (hardware.faults.length === 0 && !saysSoftware) return ['hardware', hardware];
  const software = check(settings.ekRoots.software);
  return ['software', software.faults.length === 0 ? software : hardware];
}

function akFaults(ak: TpmtPublic): Finding[] {
  const faults: Finding[] = [];
  if (ak.attributes !== AK_ATTRIBUTES) {
    const shown = `0x${ak.attributes.toString(16)}`;
    faults.push(finding('enrol-ak-attributes', `0x${AK_ATTRIBUTES.toString(16)}`, shown));
  }
  const { area } = ak;
  const fits =
    area.type === 'ecc' &&
    area.curve === TPM_ECC.NIST_P256 &&
    area.scheme?.scheme === TPM_ALG.ECDSA &&
    area.scheme.hash === TPM_ALG.SHA256 &&
    ak.nameAlg === TPM_ALG.SHA256 &&
    ak.authPolicy.length === 0;
  if (!fits) faults.push(finding('enrol-ak-scheme', 'ECC P-256, ECDSA with SHA-256, no policy', `a ${area.type} key`));
  return faults;
}

function requestFaults(request: EnrolRequest, ek: TpmtPublic, settings: Settings, references: References): Finding[] {
  const faults: Finding[] = [];
  if (!equalBytes(request.fleetId, settings.fleetId)) {
    faults.push(finding('enrol-fleet', toHex(settings.fleetId), toHex(request.fleetId)));
  }
  const id = deviceId(settings.fleetId, objectName(ek));
  if (request.deviceId !== id) faults.push(finding('enrol-id', id, request.deviceId));
  const csr = readRequest(request.tlsCsr);
  if (csr.commonName !== request.deviceId) faults.push(finding('enrol-request', request.deviceId, csr.commonName));
  const profile = references.profiles.get(request.profile);
  const expected = profile === undefined ? 'a known profile' : toHex(profile.digest);
  if (profile === undefined || !equalBytes(profile.digest, request.profileDigest)) {
    const found = `${request.profile} ${toHex(request.profileDigest)}`;
    faults.push(finding('enrol-profile', `${request.profile} ${expected}`, found));
  }
  return faults;
}

/** Reads and checks a request; whoever sent it has proven nothing yet. Never throws for what the request is. */
export function readNewcomer(request: EnrolRequest, settings: Settings, references: References, now: number): Read {
  try {
    const ek = decode(TpmtPublic, request.ekPublic, 'ekPublic');
    const ak = decode(TpmtPublic, request.akPublic, 'akPublic');
    const refused = [...requestFaults(request, ek, settings, references), ...akFaults(ak)];
    if (refused.length > 0) return { refused };
    const akName = objectName(ak);
    const [tier, certificate] = tierOf(request, ek, settings, now);
    const warnings = certificate.faults.map((fault) =>
      finding('enrol-ek-certificate', 'a chain to a root of the operator', fault, 'warning'),
    );
    publicKeyOf(ak);
    const akQualifiedName = qualifiedName(TPM_RH.ENDORSEMENT, akName);
    return { newcomer: { request, ek, ak, akName, akQualifiedName, tier, certificate, warnings } };
  } catch (error) {
    if (!(error instanceof WireError || error instanceof RangeError)) throw error;
    return { refused: [finding('enrol-malformed', 'an enrolment request', error.message)] };
  }
}

/** Whether an endorsement (hex fields) is of these very keys. */
export function sameKeys(endorsement: { ekPublic: string; akPublic: string }, request: EnrolRequest): boolean {
  return (
    equalBytes(fromHex(endorsement.ekPublic), request.ekPublic) &&
    equalBytes(fromHex(endorsement.akPublic), request.akPublic)
  );
}
