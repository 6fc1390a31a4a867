// What a survey of a TPM looks like: for people, for --json, and in the report that a user may send away.
import { X509Certificate } from 'node:crypto';
import { release } from 'node:os';
import { toHex } from '../bytes/text.ts';
import type { TpmSurvey } from '../tpm/survey.ts';
import type { Json, Output } from './output.ts';
import { cleanText, table } from './output.ts';
import { isSoftware, type Finding } from './tpm-checks.ts';
import type { HostFacts } from './tpm-host.ts';
import { packageVersion } from './version.ts';

/** TCG vendor ID registry: the makers that are met. */
const MAKERS: Readonly<Record<string, string>> = {
  AMD: 'AMD (firmware TPM)',
  ATML: 'Atmel',
  GOOG: 'Google (virtual)',
  IBM: 'IBM (software TPM: swtpm, simulator)',
  IFX: 'Infineon',
  INTC: 'Intel (firmware TPM)',
  MSFT: 'Microsoft (virtual or firmware)',
  NTC: 'Nuvoton',
  NTZ: 'Nationz',
  QCOM: 'Qualcomm',
  STM: 'STMicroelectronics',
};

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

interface CertificateFacts {
  readonly template: string;
  readonly index: string;
  readonly readable: boolean;
  readonly issuer: string | null;
  readonly signature: string | null;
  readonly validTo: string | null;
  readonly pem: string | null;
}

function certificateFacts({ certificates }: TpmSurvey): CertificateFacts[] {
  return certificates.map(({ template, index, der }) => {
    const base = { template, index: hex(index) };
    try {
      const read = new X509Certificate(der);
      return {
        ...base,
        readable: true,
        issuer: read.issuer.replaceAll('\n', ', '),
        signature: read.signatureAlgorithm ?? null,
        validTo: read.validToDate.toISOString(),
        pem: read.toString(),
      };
    } catch {
      return { ...base, readable: false, issuer: null, signature: null, validTo: null, pem: null };
    }
  });
}

function pemOf(der: Buffer): string | null {
  try {
    return new X509Certificate(der).toString();
  } catch {
    return null;
  }
}

/** `identifying`: with what names this one TPM for ever: certificates and the Name of its endorsement key. */
export function surveyDocument(survey: TpmSurvey, identifying: boolean): Json {
  const { ek, ownership, clock } = survey;
  return {
    manufacturer: survey.manufacturer,
    vendor: survey.vendor,
    software: isSoftware(survey),
    firmware: survey.firmware,
    specification: { family: survey.family, level: survey.level, revision: survey.revision, year: survey.year },
    banks: survey.banks.map(({ hash, pcrs }) => ({ hash, active: pcrs.length > 0, pcrs })),
    missingCommands: survey.missingCommands,
    endorsementKey:
      'refused' in ek
        ? { refused: ek.refused }
        : {
            template: ek.template,
            certified: ek.certified,
            ...(identifying ? { name: toHex(ek.name), public: toHex(ek.publicArea) } : {}),
          },
    certificates: certificateFacts(survey).map(({ pem, ...facts }) => ({ ...facts, ...(identifying ? { pem } : {}) })),
    ...(identifying ? { chain: survey.chain.map(pemOf) } : {}),
    attestationKey: 'refused' in survey.ak ? { refused: survey.ak.refused } : { quoteMs: survey.ak.quoteMs },
    handles: {
      persistent: survey.persistent.map(({ handle, type, attributes }) => ({
        handle: hex(handle),
        type,
        attributes: hex(attributes),
      })),
      persistentLeft: survey.persistentLeft,
      transient: survey.transient,
      sessions: survey.sessions,
      nv: survey.nvIndices.map(({ index, attributes, size }) => ({
        index: hex(index),
        attributes: hex(attributes),
        size,
      })),
      nvCountersLeft: survey.countersLeft,
    },
    ownership: { ...ownership },
    clock: { ...clock, clock: clock.clock.toString() },
    usedPcrs: survey.usedPcrs,
  };
}

function ekText({ ek }: TpmSurvey): string {
  if ('refused' in ek) return `cannot be found: ${ek.refused}`;
  return `template ${ek.template}, ${ek.certified ? 'with certificate' : 'without certificate'}\nName ${toHex(ek.name)}`;
}

/** One row for each property. */
export function surveyText(survey: TpmSurvey, output: Output): string {
  const { ownership, clock } = survey;
  const set = (['owner', 'endorsement', 'lockout'] as const).filter((name) => ownership[`${name}AuthSet`]);
  const certificates = certificateFacts(survey).map(
    ({ template, index, issuer, validTo }) =>
      `${template} at ${index}: ${issuer === null ? 'not readable' : `${issuer}, to ${validTo ?? '?'}`}`,
  );
  const persistent = survey.persistent.map(({ handle, type }) => `${hex(handle)} ${type}`);
  const maker = MAKERS[survey.manufacturer];
  const rows: readonly (readonly [string, string])[] = [
    ['maker', maker === undefined ? survey.manufacturer : `${survey.manufacturer}: ${maker}`],
    ['model', survey.vendor],
    ['firmware', survey.firmware],
    ['specification', `${survey.family}, level ${survey.level}, revision ${survey.revision} (${survey.year})`],
    [
      'PCR banks',
      survey.banks.map(({ hash, pcrs }) => `${hash}${pcrs.length > 0 ? ' active' : ' not active'}`).join(', '),
    ],
    ['endorsement key', ekText(survey)],
    ['EK certificates', certificates.join('\n') || 'none'],
    ['attestation key', 'refused' in survey.ak ? survey.ak.refused : `quotes in ${survey.ak.quoteMs.toFixed(1)} ms`],
    ['auth values set', set.join(', ') || 'none'],
    ['lockout', `${ownership.failures} of ${ownership.maxFailures} failures${ownership.inLockout ? ', locked' : ''}`],
    [
      'clock',
      `${clock.clock} ms, reset ${clock.resetCount}, restart ${clock.restartCount}, ${clock.safe ? 'safe' : 'not safe'}`,
    ],
    ['persistent', `${persistent.join(', ') || 'none'} (room for ${survey.persistentLeft ?? '?'})`],
    ['NV indices', survey.nvIndices.map(({ index }) => hex(index)).join(', ') || 'none'],
    ['loaded', `${survey.transient} objects, ${survey.sessions} sessions`],
    ['PCRs in use', survey.usedPcrs.join(', ') || 'none'],
  ];
  return table(
    ['TPM', ''],
    rows.map(([name, value]) => [output.paint('dim', name), cleanText(value, { keepNewlines: true })]),
  );
}

const COLOURS = { stops: 'red', risk: 'yellow', note: 'cyan' } as const;

/** Findings for people, each with what to do. */
function findingsText(findings: readonly Finding[], output: Output): string {
  const lines = findings.flatMap(({ id, level, found, todo }) => [
    `${output.paint(COLOURS[level], level)}  ${cleanText(found)}  ${output.paint('dim', `[${id}]`)}`,
    ...(todo === null ? [] : [`    to do: ${cleanText(todo)}`]),
  ]);
  const stops = findings.filter(({ level }) => level === 'stops').length;
  const risks = findings.filter(({ level }) => level === 'risk').length;
  const end =
    stops > 0
      ? output.paint('red', `${stops} of ${findings.length} findings stop this product on this machine`)
      : output.paint(risks > 0 ? 'yellow' : 'green', risks > 0 ? `it works, with ${risks} things to know` : 'it works');
  return [...lines, end].join('\n');
}

/** What the doctor says: which TPM, then the findings. */
export function doctorText(
  { tcti, survey }: { readonly tcti: string; readonly survey: TpmSurvey | null },
  findings: readonly Finding[],
  output: Output,
): string {
  const what =
    survey === null
      ? `no TPM at ${tcti}`
      : `${survey.manufacturer} ${survey.vendor}, firmware ${survey.firmware}, TPM ${survey.family} at ${tcti}`;
  return [cleanText(what), '', findingsText(findings, output)].join('\n');
}

/** The TCTI configuration without what may be somebody's: a path of a home, a host name, a command. */
function tctiForReport(tcti: string, host: HostFacts): string {
  return /^device(?::\/dev\/\w+)?$/.test(tcti) ? tcti : host.kind;
}

/** One file that a user can send: nothing secret in it, and with `identifying` false nothing that names this one TPM. */
export function reportDocument(
  facts: { readonly tcti: string; readonly host: HostFacts; readonly survey: TpmSurvey | null },
  findings: readonly Finding[],
  identifying: boolean,
): Json {
  const { tcti, host, survey } = facts;
  const path = host.path !== null && host.kind === 'device' ? { ...host.path } : null;
  return {
    v: 1,
    about:
      'Made by touchstone tpm doctor. This product has been run on software TPMs and not yet on a discrete one: reports of discrete and firmware TPMs are welcome. It holds no secret.',
    identifying,
    touchstone: packageVersion(),
    node: process.versions.node,
    system: { platform: process.platform, arch: process.arch, kernel: release() },
    tcti: tctiForReport(tcti, host),
    host: { libraryFault: host.libraryFault, path, devices: host.devices, otherUsers: host.users.length },
    tpm: survey === null ? null : surveyDocument(survey, identifying),
    // Words about this machine's paths and users stay on it.
    findings: findings.map(({ id, level }) => ({ id, level })),
  };
}
