// What a TPM attests: TPMS_ATTEST with every kind of content that an AK can be made to sign.
import { constant, fixed, sized, struct, u16, u32, u64, u8 } from '../../bytes/wire.ts';
import type { Codec, Reader } from '../../bytes/wire.ts';
import { TPM_GENERATED_VALUE, TPM_ST } from './constants.ts';
import { TpmlPcrSelection } from './pcr.ts';

/** Longest digest (64) with its algorithm (2): names and qualifying data. */
const MAX_NAME = 66;
/** NV_Certify returns at most one NV buffer. */
const MAX_NV_BUFFER = 2048;

/** TPMI_YES_NO, Part 2, 9.2. */
export const yesNo: Codec<boolean> = {
  read: (from) => {
    const value = from.uint(1);
    if (value > 1) from.fail('WIRE_RANGE', `is ${value}, must be 0 or 1`);
    return value === 1;
  },
  write: (value, to) => {
    u8.write(value ? 1 : 0, to);
  },
};

/** TPMS_CLOCK_INFO, Part 2, 10.11.1. */
export interface TpmsClockInfo {
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}
export const TpmsClockInfo: Codec<TpmsClockInfo> = struct<TpmsClockInfo>('TPMS_CLOCK_INFO', {
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  safe: yesNo,
});

/** TPMS_TIME_INFO, Part 2, 10.11.6. */
export interface TpmsTimeInfo {
  readonly time: bigint;
  readonly clockInfo: TpmsClockInfo;
}
export const TpmsTimeInfo: Codec<TpmsTimeInfo> = struct<TpmsTimeInfo>('TPMS_TIME_INFO', {
  time: u64,
  clockInfo: TpmsClockInfo,
});

/** TPMS_QUOTE_INFO, Part 2, 10.12.1. */
export interface TpmsQuoteInfo {
  readonly pcrSelect: TpmlPcrSelection;
  readonly pcrDigest: Buffer;
}
const TpmsQuoteInfo: Codec<TpmsQuoteInfo> = struct<TpmsQuoteInfo>('TPMS_QUOTE_INFO', {
  pcrSelect: TpmlPcrSelection,
  pcrDigest: sized(64),
});

/** TPMS_CERTIFY_INFO, Part 2, 10.12.2. */
export interface TpmsCertifyInfo {
  readonly name: Buffer;
  readonly qualifiedName: Buffer;
}
const TpmsCertifyInfo: Codec<TpmsCertifyInfo> = struct<TpmsCertifyInfo>('TPMS_CERTIFY_INFO', {
  name: sized(MAX_NAME),
  qualifiedName: sized(MAX_NAME),
});

/** TPMS_NV_CERTIFY_INFO, Part 2, 10.12.8. */
export interface TpmsNvCertifyInfo {
  readonly indexName: Buffer;
  readonly offset: number;
  readonly nvContents: Buffer;
}
const TpmsNvCertifyInfo: Codec<TpmsNvCertifyInfo> = struct<TpmsNvCertifyInfo>('TPMS_NV_CERTIFY_INFO', {
  indexName: sized(MAX_NAME),
  offset: u16,
  nvContents: sized(MAX_NV_BUFFER),
});

/** TPMU_ATTEST, Part 2, 10.12.11. Kinds that this product never asks for are kept as bytes, so that they can be named and refused. */
export type Attested =
  | { readonly type: 'quote'; readonly quote: TpmsQuoteInfo }
  | { readonly type: 'certify'; readonly certify: TpmsCertifyInfo }
  | { readonly type: 'nv'; readonly nv: TpmsNvCertifyInfo }
  | { readonly type: 'other'; readonly tag: number; readonly bytes: Buffer };

/** TPMS_ATTEST, Part 2, 10.12.12. */
export interface TpmsAttest {
  readonly magic: number;
  readonly qualifiedSigner: Buffer;
  readonly extraData: Buffer;
  readonly clockInfo: TpmsClockInfo;
  readonly firmwareVersion: bigint;
  readonly attested: Attested;
}

const TAGS = { quote: TPM_ST.ATTEST_QUOTE, certify: TPM_ST.ATTEST_CERTIFY, nv: TPM_ST.ATTEST_NV } as const;

function readAttested(tag: number, from: Reader): Attested {
  if (tag === TAGS.quote) return { type: 'quote', quote: TpmsQuoteInfo.read(from) };
  if (tag === TAGS.certify) return { type: 'certify', certify: TpmsCertifyInfo.read(from) };
  if (tag === TAGS.nv) return { type: 'nv', nv: TpmsNvCertifyInfo.read(from) };
  return { type: 'other', tag, bytes: from.rest() };
}

const head = {
  magic: constant(u32, TPM_GENERATED_VALUE),
  qualifiedSigner: sized(MAX_NAME),
  extraData: sized(MAX_NAME),
  firmwareVersion: u64,
};

export const TpmsAttest: Codec<TpmsAttest> = {
  read: (from) => {
    const path = from.path === '' ? 'TPMS_ATTEST' : from.path;
    const at = (field: string): Reader => {
      from.path = `${path}.${field}`;
      return from;
    };
    const magic = head.magic.read(at('magic'));
    const tag = u16.read(at('type'));
    const qualifiedSigner = head.qualifiedSigner.read(at('qualifiedSigner'));
    const extraData = head.extraData.read(at('extraData'));
    const clockInfo = TpmsClockInfo.read(at('clockInfo'));
    const firmwareVersion = head.firmwareVersion.read(at('firmwareVersion'));
    const attested = readAttested(tag, at('attested'));
    from.path = path;
    return { magic, qualifiedSigner, extraData, clockInfo, firmwareVersion, attested };
  },
  write: (value, to) => {
    const { attested } = value;
    head.magic.write(value.magic, to);
    u16.write(attested.type === 'other' ? attested.tag : TAGS[attested.type], to);
    head.qualifiedSigner.write(value.qualifiedSigner, to);
    head.extraData.write(value.extraData, to);
    TpmsClockInfo.write(value.clockInfo, to);
    head.firmwareVersion.write(value.firmwareVersion, to);
    if (attested.type === 'quote') TpmsQuoteInfo.write(attested.quote, to);
    else if (attested.type === 'certify') TpmsCertifyInfo.write(attested.certify, to);
    else if (attested.type === 'nv') TpmsNvCertifyInfo.write(attested.nv, to);
    else fixed(attested.bytes.length).write(attested.bytes, to);
  },
};
