// PCR selections and digests on the wire.
import { constant, list, sized, struct, u16, u32, u8 } from '../../bytes/wire.ts';
import type { Codec } from '../../bytes/wire.ts';
import type { PcrBank, PcrSelection } from '../port.ts';
import { TPM_ALG } from './constants.ts';

/** Number of PCRs of a PC Client TPM: three bytes of bitmap. */
export const PCR_COUNT = 24;
const SELECT_BYTES = PCR_COUNT / 8;
/** More banks than there are hash algorithms in any TPM. */
const MAX_BANKS = 16;

/** Ascending PCR indices ↔ UINT8 size (exactly 3) ‖ bitmap; bit p is byte[p >> 3] & (1 << (p & 7)). */
const bitmap: Codec<number[]> = {
  read: (from) => {
    constant(u8, SELECT_BYTES).read(from);
    const bits = from.take(SELECT_BYTES);
    return Array.from({ length: PCR_COUNT }, (_, p) => p).filter((p) => ((bits[p >> 3] ?? 0) & (1 << (p & 7))) !== 0);
  },
  write: (pcrs, to) => {
    const bits = Buffer.alloc(SELECT_BYTES);
    for (const p of pcrs) {
      if (!Number.isInteger(p) || p < 0 || p >= PCR_COUNT) to.fail(`PCR ${p} does not exist`);
      bits[p >> 3] = (bits[p >> 3] ?? 0) | (1 << (p & 7));
    }
    to.uint(1, SELECT_BYTES);
    to.put(bits);
  },
};

/** TPMS_PCR_SELECTION, Part 2, 10.6.2. */
export interface TpmsPcrSelection {
  readonly hash: number;
  readonly pcrs: number[];
}
export const TpmsPcrSelection: Codec<TpmsPcrSelection> = struct<TpmsPcrSelection>('TPMS_PCR_SELECTION', {
  hash: u16,
  pcrs: bitmap,
});

/** TPML_PCR_SELECTION, Part 2, 10.9.7. */
export type TpmlPcrSelection = TpmsPcrSelection[];
export const TpmlPcrSelection: Codec<TpmlPcrSelection> = list(TpmsPcrSelection, MAX_BANKS);

/** TPML_DIGEST, Part 2, 10.9.4: at most 8 digests of at most 64 bytes. */
export const TpmlDigest: Codec<Buffer[]> = list(sized(64), 8);

/** PCR_Read's answer: UINT32 pcrUpdateCounter ‖ selection ‖ values. */
export interface PcrReadAnswer {
  readonly updateCounter: number;
  readonly selection: TpmlPcrSelection;
  readonly values: Buffer[];
}
export const PcrReadAnswer: Codec<PcrReadAnswer> = struct<PcrReadAnswer>('PCR_Read', {
  updateCounter: u32,
  selection: TpmlPcrSelection,
  values: TpmlDigest,
});

const BANKS: Readonly<Record<PcrBank, number>> = { sha256: TPM_ALG.SHA256, sha384: TPM_ALG.SHA384 };

/** TPM_ALG_ID of a bank. */
export function bankAlgorithm(bank: PcrBank): number {
  return BANKS[bank];
}

/** The port's selection as the one-bank list that commands take. */
export function toTpmlPcrSelection(selection: PcrSelection): TpmlPcrSelection {
  return [{ hash: BANKS[selection.bank], pcrs: [...selection.pcrs] }];
}
