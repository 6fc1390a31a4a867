// Public areas of NV indices.
import { sized, sizedOf, struct, u16, u32 } from '../../bytes/wire.ts';
import type { Codec } from '../../bytes/wire.ts';

/** TPMS_NV_PUBLIC, Part 2, 13.5. */
export interface TpmsNvPublic {
  readonly nvIndex: number;
  readonly nameAlg: number;
  readonly attributes: number;
  readonly authPolicy: Buffer;
  readonly dataSize: number;
}
export const TpmsNvPublic: Codec<TpmsNvPublic> = struct<TpmsNvPublic>('TPMS_NV_PUBLIC', {
  nvIndex: u32,
  nameAlg: u16,
  attributes: u32,
  authPolicy: sized(64),
  dataSize: u16,
});

/** TPM2B_NV_PUBLIC, Part 2, 13.6. */
export const Tpm2bNvPublic: Codec<TpmsNvPublic> = sizedOf(TpmsNvPublic);
