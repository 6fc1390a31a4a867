// An appraisal in the words of other systems: the claims of an EAT Attestation Result (draft-ietf-rats-ear, AR4SI). Pure; whoever hands it out signs it.
import { toHex } from '../bytes/text.ts';
import type { Finding, Status } from '../rules/finding.ts';
import type { RuleId } from '../rules/catalogue.ts';
import { worse } from './findings.ts';
import type { Appraisal } from './types.ts';

export const EAR_PROFILE = 'tag:github.com,2023:veraison/ear';

/** What one claim of a vector may say of one thing; −128 to 127, where 2 is affirmed, 32 a warning and 96 contraindicated. */
export type TrustClaim =
  'instance-identity' | 'configuration' | 'executables' | 'file-system' | 'hardware' | 'sourced-data';

/** One submodule: the device, or one of its slots. */
export interface EarAppraisal {
  readonly 'ear.status': Status;
  /** Left out where nothing could be judged. */
  readonly 'ear.trustworthiness-vector'?: { readonly [claim in TrustClaim]?: number };
  /** SHA-256 of the policy, hex; left out where no challenge of ours says it. */
  readonly 'ear.appraisal-policy-id'?: string;
  readonly 'touchstone.assurance'?: string;
  readonly 'touchstone.findings': readonly Finding[];
}

/** Claims of a JWT that says what was found; of nothing but this one evidence. */
export interface EarClaims {
  readonly eat_profile: typeof EAR_PROFILE;
  /** s since 1970. */
  readonly iat: number;
  readonly 'ear.verifier-id': { readonly developer: string; readonly build: string };
  /** The challenge's random bytes, hex; left out where the evidence names no challenge. */
  readonly eat_nonce?: string;
  /** `device`, and `slot:NAME` for each slot. */
  readonly submods: { readonly [name: string]: EarAppraisal };
}

/** Values of AR4SI that every claim shares. */
const VALUES: Readonly<Record<Status, number>> = { affirming: 2, warning: 32, contraindicated: 96, none: 0 };

/** Which rules speak of which claim. A rule that is in none lowers the status alone. */
const DEVICE_RULES = {
  'instance-identity': ['claims-device'],
  hardware: ['tier-software', 'tpm-cleared', 'tpm-cleared-or-replaced', 'clock-rolled-back'],
  executables: ['components', 'boot-pcr', 'boot-explained', 'agent-start', 'foreign-extension'],
  configuration: ['profile'],
} as const satisfies { readonly [claim in TrustClaim]?: readonly RuleId[] };
const CONFIG_RULES: readonly RuleId[] = ['config-bytes'];
const SOURCE_RULES: readonly RuleId[] = ['release-unknown', 'release-withdrawn', 'model-unsigned', 'model-statement'];

function worst(findings: readonly Finding[]): Status {
  return findings.reduce<Status>((status, finding) => worse(status, finding.status), 'affirming');
}

/** What the findings by these rules leave of a claim that is otherwise affirmed. */
function claimOf(findings: readonly Finding[], rules: readonly RuleId[]): number {
  return VALUES[worst(findings.filter(({ rule }) => rules.includes(rule)))];
}

function deviceVector(
  { accepted, assurance }: Appraisal,
  findings: readonly Finding[],
): EarAppraisal['ear.trustworthiness-vector'] {
  // What was not accepted may have been sent by anybody: it claims nothing of this device.
  if (!accepted) return undefined;
  const claim = (name: keyof typeof DEVICE_RULES): number => claimOf(findings, DEVICE_RULES[name]);
  // Nothing proves what runs below A2, nor a vendor below A1: no claim, unless something speaks against it.
  const proven = (value: number, isProven: boolean): number =>
    isProven || value !== VALUES.affirming ? value : VALUES.none;
  return {
    'instance-identity': claim('instance-identity'),
    hardware: proven(claim('hardware'), assurance !== 'A0'),
    executables: proven(claim('executables'), assurance === 'A2' || assurance === 'A3'),
    configuration: claim('configuration'),
  };
}

/** Everything of a slot that is neither its configuration nor its origin is about its files. */
function slotVector(findings: readonly Finding[]): EarAppraisal['ear.trustworthiness-vector'] {
  const files = findings.filter(({ rule }) => !CONFIG_RULES.includes(rule) && !SOURCE_RULES.includes(rule));
  return {
    'file-system': VALUES[worst(files)],
    configuration: claimOf(findings, CONFIG_RULES),
    'sourced-data': claimOf(findings, SOURCE_RULES),
  };
}

function submodule(
  appraisal: Appraisal,
  status: Status,
  findings: readonly Finding[],
  vector: EarAppraisal['ear.trustworthiness-vector'],
): EarAppraisal {
  const { challenge } = appraisal;
  return {
    'ear.status': status,
    ...(vector === undefined ? {} : { 'ear.trustworthiness-vector': vector }),
    ...(challenge === null ? {} : { 'ear.appraisal-policy-id': toHex(challenge.policyDigest) }),
    'touchstone.findings': findings,
  };
}

/** `iat`: s since 1970. `build`: this software's name and version. */
export function earClaims(appraisal: Appraisal, iat: number, build: string): EarClaims {
  const of = (subject: string): readonly Finding[] =>
    appraisal.findings.filter((finding) => finding.subject === subject);
  const device = of('device');
  const status = appraisal.accepted ? worst(device) : appraisal.status;
  // A slot that no profile has is known by its findings alone.
  const strangers = appraisal.findings.map(({ subject }) => subject).filter((subject) => subject !== 'device');
  const names = new Set([...appraisal.slots.map(({ slot }) => slot), ...strangers]);
  const slots = [...names].map((name): [string, EarAppraisal] => {
    const findings = of(name);
    const judged = appraisal.slots.find(({ slot }) => slot === name)?.status ?? worst(findings);
    return [
      `slot:${name}`,
      submodule(appraisal, judged, findings, judged === 'none' ? undefined : slotVector(findings)),
    ];
  });
  return {
    eat_profile: EAR_PROFILE,
    iat,
    'ear.verifier-id': { developer: 'touchstone', build },
    ...(appraisal.challenge === null ? {} : { eat_nonce: toHex(appraisal.challenge.nonce) }),
    submods: {
      device: {
        ...submodule(appraisal, status, device, deviceVector(appraisal, device)),
        'touchstone.assurance': appraisal.assurance,
      },
      ...Object.fromEntries(slots),
    },
  };
}
