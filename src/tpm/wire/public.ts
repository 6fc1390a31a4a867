// Public areas of keys: TPMT_PUBLIC with the schemes and unique values that this product meets.
import { sized, sizedOf, struct, u16, u32 } from '../../bytes/wire.ts';
import type { Codec, Reader, Writer } from '../../bytes/wire.ts';
import { TPM_ALG } from './constants.ts';

/** Largest RSA modulus accepted, in bytes (4096 bits). */
const MAX_RSA = 512;
/** P-521 coordinates. */
const MAX_ECC = 66;
const MAX_DIGEST = 64;

/** TPMT_SYM_DEF_OBJECT, Part 2, 11.1.7; null = TPM_ALG_NULL. */
export type SymDef = { readonly algorithm: number; readonly keyBits: number; readonly mode: number } | null;

export const TpmtSymDefObject: Codec<SymDef> = {
  read: (from) => {
    const algorithm = from.uint(2);
    if (algorithm === TPM_ALG.NULL) return null;
    return { algorithm, keyBits: from.uint(2), mode: from.uint(2) };
  },
  write: (value, to) => {
    if (value === null) {
      to.uint(2, TPM_ALG.NULL);
      return;
    }
    to.uint(2, value.algorithm);
    to.uint(2, value.keyBits);
    to.uint(2, value.mode);
  },
};

/** A signing, key exchange or hash scheme with its hash: TPMT_*_SCHEME, Part 2, 11.2; null = TPM_ALG_NULL. */
export type Scheme = { readonly scheme: number; readonly hash: number | null } | null;

/** Schemes without a hash in their details. */
const BARE: ReadonlySet<number> = new Set([TPM_ALG.RSAES]);

const TpmtScheme: Codec<Scheme> = {
  read: (from) => {
    const scheme = from.uint(2);
    if (scheme === TPM_ALG.NULL) return null;
    if (scheme === TPM_ALG.XOR) from.fail('WIRE_RANGE', 'XOR is not supported');
    return { scheme, hash: BARE.has(scheme) ? null : from.uint(2) };
  },
  write: (value, to) => {
    to.uint(2, value === null ? TPM_ALG.NULL : value.scheme);
    if (value !== null && value.hash !== null) to.uint(2, value.hash);
  },
};

/** Parameters and unique value by key type: TPMU_PUBLIC_PARMS and TPMU_PUBLIC_ID, Part 2, 12.2.3. */
export type PublicArea =
  | {
      readonly type: 'ecc';
      readonly symmetric: SymDef;
      readonly scheme: Scheme;
      readonly curve: number;
      readonly kdf: Scheme;
      readonly x: Buffer;
      readonly y: Buffer;
    }
  | {
      readonly type: 'rsa';
      readonly symmetric: SymDef;
      readonly scheme: Scheme;
      readonly keyBits: number;
      /** 0 = 65537. */
      readonly exponent: number;
      readonly modulus: Buffer;
    }
  | { readonly type: 'keyedhash'; readonly scheme: Scheme; readonly unique: Buffer }
  | { readonly type: 'symcipher'; readonly symmetric: SymDef; readonly unique: Buffer };

const TYPES = {
  ecc: TPM_ALG.ECC,
  rsa: TPM_ALG.RSA,
  keyedhash: TPM_ALG.KEYEDHASH,
  symcipher: TPM_ALG.SYMCIPHER,
} as const;

/** TPMT_PUBLIC, Part 2, 12.2.4: type ‖ nameAlg ‖ objectAttributes ‖ authPolicy ‖ parameters ‖ unique. */
export interface TpmtPublic {
  readonly nameAlg: number;
  readonly attributes: number;
  readonly authPolicy: Buffer;
  readonly area: PublicArea;
}

const policy = sized(MAX_DIGEST);
const rsaUnique = sized(MAX_RSA);
const eccUnique = sized(MAX_ECC);
const digestUnique = sized(MAX_DIGEST);

function readArea(type: number, from: Reader): PublicArea {
  switch (type) {
    case TPM_ALG.ECC:
      return {
        type: 'ecc',
        symmetric: TpmtSymDefObject.read(from),
        scheme: TpmtScheme.read(from),
        curve: from.uint(2),
        kdf: TpmtScheme.read(from),
        x: eccUnique.read(from),
        y: eccUnique.read(from),
      };
    case TPM_ALG.RSA:
      return {
        type: 'rsa',
        symmetric: TpmtSymDefObject.read(from),
        scheme: TpmtScheme.read(from),
        keyBits: from.uint(2),
        exponent: from.uint(4),
        modulus: rsaUnique.read(from),
      };
    case TPM_ALG.KEYEDHASH:
      return { type: 'keyedhash', scheme: TpmtScheme.read(from), unique: digestUnique.read(from) };
    case TPM_ALG.SYMCIPHER:
      return { type: 'symcipher', symmetric: TpmtSymDefObject.read(from), unique: digestUnique.read(from) };
    default:
      return from.fail('WIRE_RANGE', `key type 0x${type.toString(16)} is not supported`);
  }
}

function writeArea(area: PublicArea, to: Writer): void {
  switch (area.type) {
    case 'ecc':
      TpmtSymDefObject.write(area.symmetric, to);
      TpmtScheme.write(area.scheme, to);
      to.uint(2, area.curve);
      TpmtScheme.write(area.kdf, to);
      eccUnique.write(area.x, to);
      eccUnique.write(area.y, to);
      break;
    case 'rsa':
      TpmtSymDefObject.write(area.symmetric, to);
      TpmtScheme.write(area.scheme, to);
      to.uint(2, area.keyBits);
      to.uint(4, area.exponent);
      rsaUnique.write(area.modulus, to);
      break;
    case 'keyedhash':
      TpmtScheme.write(area.scheme, to);
      digestUnique.write(area.unique, to);
      break;
    case 'symcipher':
      TpmtSymDefObject.write(area.symmetric, to);
      digestUnique.write(area.unique, to);
      break;
  }
}

export const TpmtPublic: Codec<TpmtPublic> = {
  read: (from) => {
    const path = from.path === '' ? 'TPMT_PUBLIC' : from.path;
    const type = from.uint(2);
    const nameAlg = u16.read(from);
    const attributes = u32.read(from);
    from.path = `${path}.authPolicy`;
    const authPolicy = policy.read(from);
    from.path = `${path}.area`;
    const area = readArea(type, from);
    from.path = path;
    return { nameAlg, attributes, authPolicy, area };
  },
  write: (value, to) => {
    to.uint(2, TYPES[value.area.type]);
    to.uint(2, value.nameAlg);
    to.uint(4, value.attributes);
    policy.write(value.authPolicy, to);
    writeArea(value.area, to);
  },
};

/** TPM2B_PUBLIC, Part 2, 12.2.5. */
export const Tpm2bPublic: Codec<TpmtPublic> = sizedOf(TpmtPublic);

/** TPMS_SENSITIVE_CREATE, Part 2, 11.1.15. */
export interface TpmsSensitiveCreate {
  readonly userAuth: Buffer;
  readonly data: Buffer;
}
export const Tpm2bSensitiveCreate: Codec<TpmsSensitiveCreate> = sizedOf(
  struct<TpmsSensitiveCreate>('TPMS_SENSITIVE_CREATE', { userAuth: sized(MAX_DIGEST), data: sized(256) }),
);
