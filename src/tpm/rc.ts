// TPM 2.0 response codes as data: name, meaning, and which handle, parameter or session is at fault.

/** What a response code says. `index` counts from 1; both are null where the code names no part of the command. */
export interface ResponseCode {
  readonly rc: number;
  readonly name: string;
  readonly meaning: string;
  readonly subject: 'handle' | 'parameter' | 'session' | null;
  readonly index: number | null;
  /** Who answered: the TPM, or the resource manager before it (0xb0000: kernel or tpm2-abrmd). */
  readonly layer: 'tpm' | 'resource manager' | 'other';
}

type Table = Readonly<Record<number, readonly [name: string, meaning: string]>>;

/** Codes 0x080 | n: format one. TPM library Part 2, 6.6.3, table 17. */
const FORMAT_ONE: Table = {
  0x01: ['ASYMMETRIC', 'the asymmetric algorithm is not supported or not correct'],
  0x02: ['ATTRIBUTES', 'the attributes are inconsistent'],
  0x03: ['HASH', 'the hash algorithm is not supported or not appropriate'],
  0x04: ['VALUE', 'the value is out of range or not correct for the context'],
  0x05: ['HIERARCHY', 'the hierarchy is not enabled or not correct for the use'],
  0x07: ['KEY_SIZE', 'the key size is not supported'],
  0x08: ['MGF', 'the mask generation function is not supported'],
  0x09: ['MODE', 'the mode of operation is not supported'],
  0x0a: ['TYPE', 'the type of the value is not appropriate for the use'],
  0x0b: ['HANDLE', 'the handle is not correct for the use'],
  0x0c: ['KDF', 'the key derivation function is not supported or not appropriate'],
  0x0d: ['RANGE', 'the value was out of the allowed range'],
  0x0e: ['AUTH_FAIL', 'the authorisation is wrong, and counts toward lockout'],
  0x0f: ['NONCE', 'the nonce size is invalid or the nonce value does not match'],
  0x10: ['PP', 'the authorisation requires physical presence'],
  0x12: ['SCHEME', 'the scheme is unsupported or incompatible'],
  0x15: ['SIZE', 'the structure is the wrong size'],
  0x16: ['SYMMETRIC', 'the symmetric algorithm or key size is not supported or not appropriate'],
  0x17: ['TAG', 'the structure tag is not correct'],
  0x18: ['SELECTOR', 'the union selector is incorrect'],
  0x1a: ['INSUFFICIENT', 'the TPM could not read a value because the input ended'],
  0x1b: ['SIGNATURE', 'the signature is not valid'],
  0x1c: ['KEY', 'the key fields are not compatible with the selected use'],
  0x1d: ['POLICY_FAIL', 'a policy check failed'],
  0x1f: ['INTEGRITY', 'the integrity check failed'],
  0x20: ['TICKET', 'the ticket is invalid'],
  0x21: ['RESERVED_BITS', 'reserved bits are not zero'],
  0x22: ['BAD_AUTH', 'the authorisation is wrong, without effect on lockout'],
  0x23: ['EXPIRED', 'the policy has expired'],
  0x24: ['POLICY_CC', 'the command code is not the one of the policy'],
  0x25: ['BINDING', 'public and sensitive part do not belong together'],
  0x26: ['CURVE', 'the curve is not supported'],
  0x27: ['ECC_POINT', 'the point is not on the curve'],
};

/** Codes 0x100 | n: format zero, version 1. Part 2, 6.6.3, table 16. */
const FORMAT_ZERO: Table = {
  0x00: ['INITIALIZE', 'the TPM is not started: TPM2_Startup is needed'],
  0x01: ['FAILURE', 'the command failed inside the TPM; it may be in failure mode'],
  0x03: ['SEQUENCE', 'improper use of a sequence handle'],
  0x0b: ['PRIVATE', 'not currently used'],
  0x19: ['HMAC', 'not currently used'],
  0x20: ['DISABLED', 'the command is disabled'],
  0x21: ['EXCLUSIVE', 'the command failed because audit sequence required exclusivity'],
  0x24: ['AUTH_TYPE', 'the authorisation handle is not correct for the command'],
  0x25: ['AUTH_MISSING', 'the command requires an authorisation session'],
  0x26: ['POLICY', 'the policy comparison failed, or the policy does not fit'],
  0x27: ['PCR', 'the PCR check failed'],
  0x28: ['PCR_CHANGED', 'PCRs have changed since they were checked'],
  0x2d: ['UPGRADE', 'the TPM is in field upgrade mode'],
  0x2e: ['TOO_MANY_CONTEXTS', 'the context counter is at its maximum'],
  0x2f: ['AUTH_UNAVAILABLE', 'the entity takes no authorisation of this kind'],
  0x30: ['REBOOT', 'the TPM must be reset (reboot) before it works again'],
  0x31: ['UNBALANCED', 'the protection algorithms are of unequal strength'],
  0x42: ['COMMAND_SIZE', 'the command size does not match the bytes sent'],
  0x43: ['COMMAND_CODE', 'the TPM does not implement the command'],
  0x44: ['AUTHSIZE', 'the authorisation size is out of range'],
  0x45: ['AUTH_CONTEXT', 'this command takes no session'],
  0x46: ['NV_RANGE', 'the offset and size exceed the NV index'],
  0x47: ['NV_SIZE', 'the requested size is larger than allowed'],
  0x48: ['NV_LOCKED', 'the NV index is locked'],
  0x49: ['NV_AUTHORIZATION', 'the NV index does not allow this authorisation'],
  0x4a: ['NV_UNINITIALIZED', 'the NV index was never written, or its state was not restored'],
  0x4b: ['NV_SPACE', 'there is not enough NV space'],
  0x4c: ['NV_DEFINED', 'the NV index or persistent handle is already in use'],
  0x50: ['BAD_CONTEXT', 'the context does not belong to this TPM start'],
  0x51: ['CPHASH', 'the command parameters are not those of the policy'],
  0x52: ['PARENT', 'the handle is not a possible parent'],
  0x53: ['NEEDS_TEST', 'an algorithm needs its self-test first'],
  0x54: ['NO_RESULT', 'there is no result yet'],
  0x55: ['SENSITIVE', 'the sensitive part does not unmarshal'],
};

/** Codes 0x900 | n: warnings. Part 2, 6.6.3, table 16. */
const WARNINGS: Table = {
  0x01: ['CONTEXT_GAP', 'a session context is too old: gap of the context counter'],
  0x02: ['OBJECT_MEMORY', 'no slot for another loaded object'],
  0x03: ['SESSION_MEMORY', 'no slot for another loaded session'],
  0x04: ['MEMORY', 'out of memory'],
  0x05: ['SESSION_HANDLES', 'no session handle left'],
  0x06: ['OBJECT_HANDLES', 'no object handle left'],
  0x07: ['LOCALITY', 'this locality may not do that'],
  0x08: ['YIELDED', 'the TPM has suspended the command; send it again'],
  0x09: ['CANCELED', 'the command was cancelled'],
  0x0a: ['TESTING', 'the TPM is running self-tests; send the command again'],
  0x20: ['NV_RATE', 'NV is written too fast; send the command again later'],
  0x21: ['LOCKOUT', 'dictionary attack protection is active: see touchstone tpm doctor'],
  0x22: ['RETRY', 'the TPM could not start the command; send it again'],
  0x23: ['NV_UNAVAILABLE', 'NV may not be used at the moment'],
};

const REFERENCES = { 0x10: 'handle', 0x18: 'session' } as const;

function format(prefix: 'TPM_RC_', entry: readonly [string, string] | undefined, code: number): [string, string] {
  if (entry !== undefined) return [`${prefix}${entry[0]}`, entry[1]];
  return [`${prefix}0x${code.toString(16).padStart(3, '0')}`, 'a code that this product does not know'];
}

function layerOf(rc: number): ResponseCode['layer'] {
  const layer = rc >>> 16;
  if (layer === 0) return 'tpm';
  return layer === 0x0b ? 'resource manager' : 'other';
}

/** Bits 8 to 11 of a format-one code: parameter number when bit 6 is set, else session (bit 11) or handle number. */
function faultOf(code: number): Pick<ResponseCode, 'subject' | 'index'> {
  const n = (code >>> 8) & 0xf;
  if ((code & 0x40) !== 0) return n === 0 ? { subject: null, index: null } : { subject: 'parameter', index: n };
  const index = n & 0x7;
  if (index === 0) return { subject: null, index: null };
  return { subject: (n & 0x8) === 0 ? 'handle' : 'session', index };
}

/** Decodes any non-zero response code. TPM library Part 2, 6.6.2. */
export function explainRc(rc: number): ResponseCode {
  const code = rc & 0xfff;
  const layer = layerOf(rc);
  const base = { rc, layer };
  if ((code & 0x80) !== 0) {
    const [name, meaning] = format('TPM_RC_', FORMAT_ONE[code & 0x3f], code);
    return { ...base, name, meaning, ...faultOf(code) };
  }
  const none = { subject: null, index: null };
  if ((code & 0x900) === 0x900) {
    const n = code & 0x7f;
    if (n >= 0x10 && n <= 0x1e) {
      const at = n & 0x7;
      const kind = n < 0x18 ? REFERENCES[0x10] : REFERENCES[0x18];
      const name = `TPM_RC_REFERENCE_${kind === 'handle' ? 'H' : 'S'}${at}`;
      const meaning = `the ${at + 1}. ${kind} is not loaded`;
      return { ...base, name, meaning, subject: kind, index: at + 1 };
    }
    const [name, meaning] = format('TPM_RC_', WARNINGS[n], code);
    return { ...base, name, meaning, ...none };
  }
  if ((code & 0x100) !== 0) {
    const [name, meaning] = format('TPM_RC_', FORMAT_ZERO[code & 0x7f], code);
    return { ...base, name, meaning, ...none };
  }
  if (code === 0x1e) {
    return { ...base, name: 'TPM_RC_BAD_TAG', meaning: 'the command tag is wrong; or this is a TPM 1.2', ...none };
  }
  return { ...base, name: `TPM_RC_0x${code.toString(16)}`, meaning: 'a code that this product does not know', ...none };
}

/** YIELDED, TESTING, NV_RATE, RETRY: nothing happened, and the same bytes may be sent again. No other code is ever retried. */
export function isRetry(rc: number): boolean {
  return rc === 0x908 || rc === 0x90a || rc === 0x920 || rc === 0x922;
}
