// Puts something into NV that holds an endorsement key's public key as its certificate does, for TPMs made without certificates.
import { nvDefine, nvWrite } from '../../src/tpm/commands/nv.ts';
import type { CommandQueue } from '../../src/tpm/queue.ts';
import { TPM_ALG, TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import type { TpmtPublic } from '../../src/tpm/wire/public.ts';
import type { EkTemplate } from '../../src/tpm/wire/templates.ts';
import { withPrimary } from './tpm-bench.ts';

function rawKey({ area }: TpmtPublic): Buffer {
  if (area.type === 'rsa') return area.modulus;
  if (area.type === 'ecc') return Buffer.concat([area.x, area.y]);
  throw new TypeError('an EK is RSA or ECC');
}

/** A DER SEQUENCE around the key: enough to be found by, and never valid. */
export function likeCertificate(key: Buffer): Buffer {
  const head = Buffer.from('30820000', 'hex');
  head.writeUInt16BE(key.length, 2);
  return Buffer.concat([head, key]);
}

/** Defines the index and writes it; `padding` bytes of 0xff follow, as some vendors do. */
export async function placeBytes(tpm: CommandQueue, index: number, contents: Buffer, padding = 0): Promise<void> {
  const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA;
  const dataSize = contents.length + padding;
  const publicArea = { nvIndex: index, nameAlg: TPM_ALG.SHA256, attributes, authPolicy: Buffer.alloc(0), dataSize };
  await nvDefine(tpm, publicArea);
  await nvWrite(tpm, index, Buffer.concat([contents, Buffer.alloc(padding, 0xff)]), { authHandle: TPM_RH.OWNER });
}

/** Gives this TPM a certificate for the key of `template`, and returns it. */
export async function placeCertificate(tpm: CommandQueue, template: EkTemplate, padding = 0): Promise<Buffer> {
  return withPrimary(
    tpm,
    template.template,
    async ({ publicArea }) => {
      const certificate = likeCertificate(rawKey(publicArea));
      await placeBytes(tpm, template.certificateIndex, certificate, padding);
      return certificate;
    },
    TPM_RH.ENDORSEMENT,
  );
}
