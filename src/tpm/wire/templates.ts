// The templates of every key this product makes or re-creates in a TPM.
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from './constants.ts';
import type { TpmtPublic } from './public.ts';

const { fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, adminWithPolicy, noDA, restricted, decrypt, sign } =
  TPMA_OBJECT;

const none = Buffer.alloc(0);
const ecdsaSha256 = { scheme: TPM_ALG.ECDSA, hash: TPM_ALG.SHA256 };
const aes = (keyBits: number): { algorithm: number; keyBits: number; mode: number } => ({
  algorithm: TPM_ALG.AES,
  keyBits,
  mode: TPM_ALG.CFB,
});

/** PolicyA = PolicySecret(TPM_RH_ENDORSEMENT), SHA-256 (EK Credential Profile 2.5, B.3). */
const POLICY_A_SHA256 = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');
/** PolicyB = PolicyOR(PolicyA, PolicyC), SHA-256 and SHA-384 (EK Credential Profile 2.5, B.6). */
const POLICY_B_SHA256 = Buffer.from('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0', 'hex');
const POLICY_B_SHA384 = Buffer.from(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  'hex',
);

const EK_L = fixedTPM | fixedParent | sensitiveDataOrigin | adminWithPolicy | restricted | decrypt;
const EK_H = EK_L | userWithAuth;

function eccEk(
  curve: number,
  nameAlg: number,
  attributes: number,
  policy: Buffer,
  keyBits: number,
  unique: number,
): TpmtPublic {
  return {
    nameAlg,
    attributes,
    authPolicy: policy,
    area: {
      type: 'ecc',
      symmetric: aes(keyBits),
      scheme: null,
      curve,
      kdf: null,
      x: Buffer.alloc(unique),
      y: Buffer.alloc(unique),
    },
  };
}

function rsaEk(attributes: number, policy: Buffer, unique: number): TpmtPublic {
  return {
    nameAlg: TPM_ALG.SHA256,
    attributes,
    authPolicy: policy,
    area: { type: 'rsa', symmetric: aes(128), scheme: null, keyBits: 2048, exponent: 0, modulus: Buffer.alloc(unique) },
  };
}

/** One endorsement key template: where its certificate is and how the key is authorised. */
export interface EkTemplate {
  readonly id: 'L-1' | 'L-2' | 'H-1' | 'H-2' | 'H-3';
  /** NV index of the certificate (EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5). */
  readonly certificateIndex: number;
  readonly template: TpmtPublic;
  /** policy-a: PolicySecret(endorsement) satisfies it; password: an empty password session does (userWithAuth). */
  readonly auth: 'policy-a' | 'password';
}

/** In the order of preference; the first whose certificate matches the key re-created from it is this TPM's EK. */
export const EK_TEMPLATES: readonly EkTemplate[] = [
  {
    id: 'L-2',
    certificateIndex: 0x01c0000a,
    template: eccEk(TPM_ECC.NIST_P256, TPM_ALG.SHA256, EK_L, POLICY_A_SHA256, 128, 32),
    auth: 'policy-a',
  },
  { id: 'L-1', certificateIndex: 0x01c00002, template: rsaEk(EK_L, POLICY_A_SHA256, 256), auth: 'policy-a' },
  {
    id: 'H-2',
    certificateIndex: 0x01c00014,
    template: eccEk(TPM_ECC.NIST_P256, TPM_ALG.SHA256, EK_H, POLICY_B_SHA256, 128, 0),
    auth: 'password',
  },
  {
    id: 'H-3',
    certificateIndex: 0x01c00016,
    template: eccEk(TPM_ECC.NIST_P384, TPM_ALG.SHA384, EK_H, POLICY_B_SHA384, 256, 0),
    auth: 'password',
  },
  { id: 'H-1', certificateIndex: 0x01c00012, template: rsaEk(EK_H, POLICY_B_SHA256, 0), auth: 'password' },
];

/** Exactly these and no other: restricted signing, noDA so that power cuts cannot lock it (design: 0x50472). */
export const AK_ATTRIBUTES: number =
  fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | sign;

/** The attestation key: P-256, ECDSA with SHA-256, a primary of the endorsement hierarchy. */
export const AK_TEMPLATE: TpmtPublic = {
  nameAlg: TPM_ALG.SHA256,
  attributes: AK_ATTRIBUTES,
  authPolicy: none,
  area: { type: 'ecc', symmetric: null, scheme: ecdsaSha256, curve: TPM_ECC.NIST_P256, kdf: null, x: none, y: none },
};

/** The storage root key: P-256, noDA, owner hierarchy. */
export const SRK_TEMPLATE: TpmtPublic = {
  nameAlg: TPM_ALG.SHA256,
  attributes: fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | decrypt,
  authPolicy: none,
  area: { type: 'ecc', symmetric: aes(128), scheme: null, curve: TPM_ECC.NIST_P256, kdf: null, x: none, y: none },
};

/** Data sealed under the SRK by the auth value it is given: noDA, so that power cuts cannot lock it. */
export const SEALED_TEMPLATE: TpmtPublic = {
  nameAlg: TPM_ALG.SHA256,
  attributes: fixedTPM | fixedParent | userWithAuth | noDA,
  authPolicy: none,
  area: { type: 'keyedhash', scheme: null, unique: none },
};
