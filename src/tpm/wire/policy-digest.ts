// Policy digests as a TPM computes them, so that who signs policies needs no TPM. SHA-256 only.
import { createHash } from 'node:crypto';
import { encode } from '../../bytes/wire.ts';
import { TPM_CC } from './constants.ts';
import { TpmlPcrSelection } from './pcr.ts';

const START = Buffer.alloc(32);
const NOTHING = Buffer.alloc(0);

function hash(...parts: readonly Uint8Array[]): Buffer {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** What PolicyNV compares: the index from `offset` on, by `operation` (TPM_EO), with `operand`. */
export interface NvCondition {
  /** With the WRITTEN bit as it is when the policy is used. */
  readonly indexName: Uint8Array;
  readonly operand: Uint8Array;
  readonly operation: number;
  readonly offset?: number;
}

/** A policy so far. Each method gives the policy with one condition more, in the order in which the session must meet them. */
export class PolicyDigest {
  readonly bytes: Buffer;

  constructor(bytes: Buffer = START) {
    this.bytes = bytes;
  }

  #and(code: number, ...parts: readonly Uint8Array[]): PolicyDigest {
    return new PolicyDigest(hash(this.bytes, u32(code), ...parts));
  }

  /** TPM2_PolicyPCR, Part 3, 23.7: `values` in the order of the selection. */
  pcr(selection: TpmlPcrSelection, values: readonly Uint8Array[]): PolicyDigest {
    return this.#and(TPM_CC.PolicyPCR, encode(TpmlPcrSelection, selection), hash(...values));
  }

  /** TPM2_PolicyNV, Part 3, 23.9. */
  nv({ indexName, operand, operation, offset = 0 }: NvCondition): PolicyDigest {
    return this.#and(TPM_CC.PolicyNV, hash(operand, u16(offset), u16(operation)), indexName);
  }

  /** TPM2_PolicyCommandCode, Part 3, 23.11. */
  commandCode(code: number): PolicyDigest {
    return this.#and(TPM_CC.PolicyCommandCode, u32(code));
  }

  /** TPM2_PolicyCpHash, Part 3, 23.13. */
  cpHash(digest: Uint8Array): PolicyDigest {
    return this.#and(TPM_CC.PolicyCpHash, digest);
  }

  /** TPM2_PolicyNvWritten, Part 3, 23.20. */
  nvWritten(written: boolean): PolicyDigest {
    return this.#and(TPM_CC.PolicyNvWritten, Buffer.from([written ? 1 : 0]));
  }

  /** TPM2_PolicySigned, Part 3, 23.3. */
  signed(keyName: Uint8Array, policyRef: Uint8Array = NOTHING): PolicyDigest {
    return new PolicyDigest(hash(this.#and(TPM_CC.PolicySigned, keyName).bytes, policyRef));
  }

  /** TPM2_PolicySecret, Part 3, 23.4: `authName` is the Name of the entity whose auth value is proved. */
  secret(authName: Uint8Array, policyRef: Uint8Array = NOTHING): PolicyDigest {
    return new PolicyDigest(hash(this.#and(TPM_CC.PolicySecret, authName).bytes, policyRef));
  }

  /** TPM2_PolicyAuthorize, Part 3, 23.16. It takes the place of all conditions before it. */
  static authorized(keyName: Uint8Array, policyRef: Uint8Array = NOTHING): PolicyDigest {
    return new PolicyDigest(hash(new PolicyDigest().#and(TPM_CC.PolicyAuthorize, keyName).bytes, policyRef));
  }

  /** TPM2_PolicyOR, Part 3, 23.6: any of 2 to 8 policies. It takes the place of all conditions before it. */
  static anyOf(policies: readonly PolicyDigest[]): PolicyDigest {
    return new PolicyDigest().#and(TPM_CC.PolicyOR, ...policies.map(({ bytes }) => bytes));
  }

  /** TPM2_PolicyAuthorizeNV, Part 3, 23.22. It takes the place of all conditions before it. */
  static authorizedByNv(indexName: Uint8Array): PolicyDigest {
    return new PolicyDigest().#and(TPM_CC.PolicyAuthorizeNV, indexName);
  }
}

/** What the key of PolicyAuthorize signs to approve a policy: this message, hashed with SHA-256 by the signature scheme. */
export function approvalMessage(policy: Uint8Array, policyRef: Uint8Array = NOTHING): Buffer {
  return Buffer.concat([policy, policyRef]);
}

/** cpHash of TPM2_NV_Write, Part 1, 16.7: one write of these bytes, at this offset, authorised by the entity of this Name. */
export function nvWriteCpHash(
  write: { readonly data: Uint8Array; readonly offset: number },
  names: { readonly auth: Uint8Array; readonly index: Uint8Array },
): Buffer {
  const { data, offset } = write;
  return hash(u32(TPM_CC.NV_Write), names.auth, names.index, u16(data.length), data, u16(offset));
}
