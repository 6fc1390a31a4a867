// Everything that people and support want to know of a TPM, read without changing it. What it cannot tell is left out, never guessed.
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { encode } from '../bytes/wire.ts';
import { AK_HANDLE } from './attestation-key.ts';
import { quote } from './commands/attest.ts';
import { readCommands, readHandles, readPcrBanks, readProperties } from './commands/capabilities.ts';
import { readClock } from './commands/lifecycle.ts';
import { nvReadPublic } from './commands/nv.ts';
import { createPrimary, flushContext, readPublic } from './commands/objects.ts';
import { pcrRead } from './commands/pcr.ts';
import { findEndorsementKey, readCertificate, readCertificateChain } from './endorsement-key.ts';
import { readOwnership, type Ownership } from './ownership.ts';
import type { TpmClock } from './port.ts';
import type { CommandQueue } from './queue.ts';
import { TpmResponseError } from './tpm-error.ts';
import { HASH_NAMES, TPM_ALG, TPM_CC, TPM_PT, TPM_RH } from './wire/constants.ts';
import { TpmtPublic } from './wire/public.ts';
import { AK_TEMPLATE, EK_TEMPLATES, type EkTemplate } from './wire/templates.ts';

/** A command that was refused: `rc` and its name. Nothing else of the survey depends on it. */
export interface Refused {
  readonly refused: string;
}

export interface SurveyedObject {
  readonly handle: number;
  readonly type: TpmtPublic['area']['type'] | 'unknown';
  readonly attributes: number;
}

export interface SurveyedCertificate {
  readonly template: EkTemplate['id'];
  readonly index: number;
  readonly der: Buffer;
}

export interface TpmSurvey {
  /** Four characters of the TCG vendor registry. */
  readonly manufacturer: string;
  readonly vendor: string;
  /** Two words of 16 bits each, as vendors write it: 7.85.4555.0. */
  readonly firmware: string;
  /** 2.0, level and revision of the library specification. */
  readonly family: string;
  readonly level: number;
  readonly revision: string;
  readonly year: number;
  readonly banks: readonly { readonly hash: string; readonly pcrs: readonly number[] }[];
  /** Names of TPM_CC that this product uses and the TPM does not implement. */
  readonly missingCommands: readonly string[];
  readonly persistent: readonly SurveyedObject[];
  readonly transient: number;
  readonly sessions: number;
  readonly nvIndices: readonly { readonly index: number; readonly attributes: number; readonly size: number }[];
  readonly persistentLeft: number | null;
  readonly countersLeft: number | null;
  readonly certificates: readonly SurveyedCertificate[];
  /** Certificates of authorities that the vendor left in NV, DER. */
  readonly chain: readonly Buffer[];
  /** The EK that enrolment would use; `publicArea` is its TPMT_PUBLIC. */
  readonly ek:
    | {
        readonly template: EkTemplate['id'];
        readonly certified: boolean;
        readonly name: Buffer;
        readonly publicArea: Buffer;
      }
    | Refused;
  /** Whether the AK can be made and quotes, and how long one quote took, ms. foreignHandle: another key sits where ours is kept. */
  readonly ak: { readonly quoteMs: number } | Refused;
  readonly akHandleIsForeign: boolean;
  readonly ownership: Ownership;
  readonly clock: TpmClock;
  /** PCRs of the SHA-256 bank that differ from how a reset leaves them. */
  readonly usedPcrs: readonly number[];
}

/** The commands that the agent sends in its work. */
const NEEDED: readonly (keyof typeof TPM_CC)[] = [
  'ActivateCredential',
  'ContextLoad',
  'ContextSave',
  'CreatePrimary',
  'EvictControl',
  'FlushContext',
  'Hash',
  'HierarchyChangeAuth',
  'LoadExternal',
  'NV_DefineSpace',
  'NV_Increment',
  'NV_Read',
  'NV_ReadPublic',
  'NV_Write',
  'PCR_Extend',
  'PCR_Read',
  'PolicyAuthorize',
  'PolicyCpHash',
  'PolicyNV',
  'PolicyNvWritten',
  'PolicySecret',
  'Quote',
  'ReadClock',
  'ReadPublic',
  'StartAuthSession',
  'VerifySignature',
];

/** Four characters to the word, NUL and spaces at the end dropped: TPM_PT_MANUFACTURER and _VENDOR_STRING, Part 2, 6.13. */
function textOf(...values: readonly (number | undefined)[]): string {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value ?? 0, index * 4);
  return bytes
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '')
    .trim();
}

function halves(value: number | undefined): string {
  return value === undefined ? '?' : `${value >>> 16}.${value & 0xffff}`;
}

async function orRefused<T>(work: Promise<T>): Promise<T | Refused> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TpmResponseError) return { refused: error.rcName };
    throw error;
  }
}

async function surveyObject(tpm: CommandQueue, handle: number): Promise<SurveyedObject & { readonly name?: Buffer }> {
  try {
    const { publicArea, name } = await readPublic(tpm, handle);
    return { handle, type: publicArea.area.type, attributes: publicArea.attributes, name };
  } catch (error) {
    // A kind of object this product does not know is no reason to know nothing of the others.
    if (error instanceof Error && 'code' in error && error.code === 'TPM_RESPONSE') {
      return { handle, type: 'unknown', attributes: 0 };
    }
    throw error;
  }
}

async function surveyCertificates(tpm: CommandQueue): Promise<SurveyedCertificate[]> {
  const found: SurveyedCertificate[] = [];
  for (const { id, certificateIndex } of EK_TEMPLATES) {
    const der = await orRefused(readCertificate(tpm, certificateIndex));
    if (Buffer.isBuffer(der)) found.push({ template: id, index: certificateIndex, der });
  }
  return found;
}

/** Makes the AK as at every start, and lets it quote once. Nothing stays. */
async function tryQuote(tpm: CommandQueue): Promise<{ quoteMs: number; name: Buffer }> {
  const key = await createPrimary(tpm, TPM_RH.ENDORSEMENT, AK_TEMPLATE);
  try {
    const started = performance.now();
    await quote(tpm, key, randomBytes(32), [{ hash: TPM_ALG.SHA256, pcrs: [0] }]);
    return { quoteMs: performance.now() - started, name: key.name };
  } finally {
    await flushContext(tpm, key);
  }
}

async function usedPcrs(tpm: CommandQueue, pcrs: readonly number[]): Promise<number[]> {
  if (pcrs.length === 0) return [];
  const values = await pcrRead(tpm, TPM_ALG.SHA256, pcrs);
  // PCR 17 to 22 start with all bits set.
  return pcrs.filter((_, index) => values[index]?.every((byte) => byte === 0 || byte === 0xff) === false);
}

/** Reads the survey. Transient objects it makes are flushed. Errors: TpmError, of a TPM that is no use at all. */
export async function surveyTpm(tpm: CommandQueue): Promise<TpmSurvey> {
  const fixed = await readProperties(tpm, TPM_PT.FAMILY_INDICATOR);
  const variable = await readProperties(tpm, TPM_PT.PERMANENT);
  const banks = await readPcrBanks(tpm);
  const transient = await readHandles(tpm, 0x80000000);
  const sessions = [...(await readHandles(tpm, 0x02000000)), ...(await readHandles(tpm, 0x03000000))];
  const commands = new Set(await readCommands(tpm));
  const persistent = [];
  for (const handle of await readHandles(tpm, 0x81000000)) persistent.push(await surveyObject(tpm, handle));
  const nvIndices = [];
  for (const handle of await readHandles(tpm, 0x01000000)) {
    const index = await orRefused(nvReadPublic(tpm, handle));
    if ('refused' in index) continue;
    nvIndices.push({ index: handle, attributes: index.publicArea.attributes, size: index.publicArea.dataSize });
  }
  const ek = await orRefused(findEndorsementKey(tpm));
  const ak = await orRefused(tryQuote(tpm));
  const kept = persistent.find(({ handle }) => handle === AK_HANDLE);
  const property = (of: number): number => fixed.get(of) ?? 0;
  return {
    manufacturer: textOf(fixed.get(TPM_PT.MANUFACTURER)),
    vendor: textOf(
      ...[TPM_PT.VENDOR_STRING_1, TPM_PT.VENDOR_STRING_2, TPM_PT.VENDOR_STRING_3, TPM_PT.VENDOR_STRING_4].map((of) =>
        fixed.get(of),
      ),
    ),
    firmware: `${halves(fixed.get(TPM_PT.FIRMWARE_VERSION_1))}.${halves(fixed.get(TPM_PT.FIRMWARE_VERSION_2))}`,
    family: textOf(fixed.get(TPM_PT.FAMILY_INDICATOR)),
    level: property(TPM_PT.LEVEL),
    revision: (property(TPM_PT.REVISION) / 100).toFixed(2),
    year: property(TPM_PT.YEAR),
    banks: banks.map(({ hash, pcrs }) => ({ hash: HASH_NAMES.get(hash) ?? `0x${hash.toString(16)}`, pcrs })),
    missingCommands: NEEDED.filter((name) => !commands.has(TPM_CC[name])),
    persistent: persistent.map(({ handle, type, attributes }) => ({ handle, type, attributes })),
    transient: transient.length,
    sessions: sessions.length,
    nvIndices,
    persistentLeft: variable.get(TPM_PT.HR_PERSISTENT_AVAIL) ?? null,
    countersLeft: variable.get(TPM_PT.NV_COUNTERS_AVAIL) ?? null,
    certificates: await surveyCertificates(tpm),
    chain: await readCertificateChain(tpm),
    ek:
      'refused' in ek
        ? ek
        : {
            template: ek.template.id,
            certified: ek.certificate !== undefined,
            name: ek.name,
            publicArea: encode(TpmtPublic, ek.publicArea),
          },
    ak: 'refused' in ak ? ak : { quoteMs: ak.quoteMs },
    akHandleIsForeign: kept !== undefined && !('refused' in ak) && kept.name?.equals(ak.name) !== true,
    ownership: await readOwnership(tpm),
    clock: (await readClock(tpm)).clockInfo,
    usedPcrs: await usedPcrs(tpm, banks.find(({ hash }) => hash === TPM_ALG.SHA256)?.pcrs ?? []),
  };
}
