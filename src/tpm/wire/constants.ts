// Numbers of the TPM 2.0 Library Specification, Part 2, by their names there.

/** TPM_CC, Part 2, 6.5.2. */
export const TPM_CC = {
  NV_UndefineSpace: 0x122,
  HierarchyControl: 0x121,
  EvictControl: 0x120,
  Clear: 0x126,
  HierarchyChangeAuth: 0x129,
  NV_DefineSpace: 0x12a,
  CreatePrimary: 0x131,
  NV_Increment: 0x134,
  NV_Extend: 0x136,
  NV_Write: 0x137,
  DictionaryAttackLockReset: 0x139,
  DictionaryAttackParameters: 0x13a,
  PCR_Event: 0x13c,
  PCR_Reset: 0x13d,
  SequenceComplete: 0x13e,
  SelfTest: 0x143,
  Startup: 0x144,
  Shutdown: 0x145,
  ActivateCredential: 0x147,
  Certify: 0x148,
  PolicyNV: 0x149,
  CertifyCreation: 0x14a,
  NV_Read: 0x14e,
  PolicySecret: 0x151,
  Create: 0x153,
  Import: 0x156,
  Load: 0x157,
  Quote: 0x158,
  Sign: 0x15d,
  Unseal: 0x15e,
  PolicySigned: 0x160,
  ContextLoad: 0x161,
  ContextSave: 0x162,
  FlushContext: 0x165,
  LoadExternal: 0x167,
  MakeCredential: 0x168,
  NV_ReadPublic: 0x169,
  PolicyAuthorize: 0x16a,
  PolicyCommandCode: 0x16c,
  PolicyCounterTimer: 0x16d,
  PolicyCpHash: 0x16e,
  PolicyOR: 0x171,
  ReadPublic: 0x173,
  StartAuthSession: 0x176,
  VerifySignature: 0x177,
  GetCapability: 0x17a,
  GetRandom: 0x17b,
  Hash: 0x17d,
  PCR_Read: 0x17e,
  PolicyPCR: 0x17f,
  PolicyRestart: 0x180,
  ReadClock: 0x181,
  PCR_Extend: 0x182,
  NV_Certify: 0x184,
  PolicyGetDigest: 0x189,
  PolicyNvWritten: 0x18f,
  PolicyAuthorizeNV: 0x192,
} as const;

/** TPM_ALG_ID, Part 2, 6.3. */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  HMAC: 0x0005,
  AES: 0x0006,
  KEYEDHASH: 0x0008,
  XOR: 0x000a,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  ECC: 0x0023,
  SYMCIPHER: 0x0025,
  CFB: 0x0043,
} as const;

/** TPM_ECC_CURVE, Part 2, 6.4. */
export const TPM_ECC = { NIST_P256: 0x0003, NIST_P384: 0x0004, NIST_P521: 0x0005 } as const;

/** TPM_ST, Part 2, 6.9. */
export const TPM_ST = {
  NO_SESSIONS: 0x8001,
  SESSIONS: 0x8002,
  ATTEST_NV: 0x8014,
  ATTEST_COMMAND_AUDIT: 0x8015,
  ATTEST_SESSION_AUDIT: 0x8016,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
  ATTEST_TIME: 0x8019,
  ATTEST_CREATION: 0x801a,
  ATTEST_NV_DIGEST: 0x801c,
  CREATION: 0x8021,
  VERIFIED: 0x8022,
  AUTH_SECRET: 0x8023,
  HASHCHECK: 0x8024,
  AUTH_SIGNED: 0x8025,
} as const;

/** TPM_RH and TPM_RS, Part 2, 7.4. */
export const TPM_RH = {
  OWNER: 0x40000001,
  NULL: 0x40000007,
  PW: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
  PLATFORM: 0x4000000c,
} as const;

/** TPM_SE, Part 2, 6.11. */
export const TPM_SE = { HMAC: 0x00, POLICY: 0x01, TRIAL: 0x03 } as const;

/** TPM_SU, Part 2, 6.10. */
export const TPM_SU = { CLEAR: 0x0000, STATE: 0x0001 } as const;

/** TPM_CAP, Part 2, 6.12. */
export const TPM_CAP = { ALGS: 0, HANDLES: 1, COMMANDS: 2, PCRS: 5, TPM_PROPERTIES: 6, ECC_CURVES: 8 } as const;

/** TPM_PT, Part 2, 6.13. */
export const TPM_PT = {
  FAMILY_INDICATOR: 0x100,
  LEVEL: 0x101,
  REVISION: 0x102,
  YEAR: 0x104,
  MANUFACTURER: 0x105,
  VENDOR_STRING_1: 0x106,
  VENDOR_STRING_2: 0x107,
  VENDOR_STRING_3: 0x108,
  VENDOR_STRING_4: 0x109,
  FIRMWARE_VERSION_1: 0x10b,
  FIRMWARE_VERSION_2: 0x10c,
  NV_INDEX_MAX: 0x117,
  CLOCK_UPDATE: 0x119,
  NV_BUFFER_MAX: 0x12c,
  PERMANENT: 0x200,
  STARTUP_CLEAR: 0x201,
  HR_PERSISTENT_AVAIL: 0x209,
  NV_COUNTERS_AVAIL: 0x20b,
  LOCKOUT_COUNTER: 0x20e,
  MAX_AUTH_FAIL: 0x20f,
  LOCKOUT_INTERVAL: 0x210,
  LOCKOUT_RECOVERY: 0x211,
} as const;

/** TPMA_OBJECT, Part 2, 8.3. */
export const TPMA_OBJECT = {
  fixedTPM: 0x00000002,
  stClear: 0x00000004,
  fixedParent: 0x00000010,
  sensitiveDataOrigin: 0x00000020,
  userWithAuth: 0x00000040,
  adminWithPolicy: 0x00000080,
  noDA: 0x00000400,
  encryptedDuplication: 0x00000800,
  restricted: 0x00010000,
  decrypt: 0x00020000,
  sign: 0x00040000,
} as const;

/** TPMA_NV, Part 2, 13.4; TPM_NT in bits 4 to 7. */
export const TPMA_NV = {
  ppWrite: 0x00000001,
  ownerWrite: 0x00000002,
  authWrite: 0x00000004,
  policyWrite: 0x00000008,
  counter: 0x00000010,
  extend: 0x00000040,
  writeAll: 0x00001000,
  ppRead: 0x00010000,
  ownerRead: 0x00020000,
  authRead: 0x00040000,
  policyRead: 0x00080000,
  noDA: 0x02000000,
  orderly: 0x04000000,
  clearStClear: 0x08000000,
  written: 0x20000000,
  platformCreate: 0x40000000,
} as const;

/** TPMA_SESSION, Part 2, 8.4. */
export const TPMA_SESSION = { continueSession: 0x01, decrypt: 0x20, encrypt: 0x40 } as const;

/** TPM_EO, Part 2, 6.8: comparisons of PolicyNV. */
export const TPM_EO = {
  EQ: 0,
  NEQ: 1,
  SIGNED_GT: 2,
  UNSIGNED_GT: 3,
  SIGNED_LT: 4,
  UNSIGNED_LT: 5,
  SIGNED_GE: 6,
  UNSIGNED_GE: 7,
  SIGNED_LE: 8,
  UNSIGNED_LE: 9,
} as const;

/** First four bytes of everything that a TPM signs about itself (Part 2, 6.2). */
export const TPM_GENERATED_VALUE = 0xff544347;

/** Digest length in bytes by TPM_ALG_ID. */
export const DIGEST_BYTES: ReadonlyMap<number, number> = new Map([
  [TPM_ALG.SHA1, 20],
  [TPM_ALG.SHA256, 32],
  [TPM_ALG.SHA384, 48],
  [TPM_ALG.SHA512, 64],
]);

/** Node's name of the hash by TPM_ALG_ID. */
export const HASH_NAMES: ReadonlyMap<number, string> = new Map([
  [TPM_ALG.SHA1, 'sha1'],
  [TPM_ALG.SHA256, 'sha256'],
  [TPM_ALG.SHA384, 'sha384'],
  [TPM_ALG.SHA512, 'sha512'],
]);
