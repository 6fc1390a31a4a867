// Policy commands: each adds one condition to the policy digest of a session.
import { list, sized, u16, u32, u8 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmlPcrSelection } from '../wire/pcr.ts';
import { TpmtSignature, TpmtTicket } from '../wire/signature.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, nothing, pack, type Entity } from './execute.ts';

const EMPTY = Buffer.alloc(0);
const digest = sized(64);
/** TPM2B_TIMEOUT, Part 2, 10.4.10. */
const timeout = sized(8);

/** TPM2_PolicyGetDigest, Part 3, 23.11. */
export async function policyGetDigest(tpm: CommandQueue, session: number): Promise<Buffer> {
  return execute(tpm, { command: 'PolicyGetDigest', handles: [session], read: (from) => digest.read(from) });
}

/** TPM2_PolicyPCR, Part 3, 23.7. `pcrDigest` is the digest of the values meant; empty takes the values of now. */
export async function policyPcr(
  tpm: CommandQueue,
  session: number,
  selection: TpmlPcrSelection,
  pcrDigest: Buffer = EMPTY,
): Promise<void> {
  await execute(tpm, {
    command: 'PolicyPCR',
    handles: [session],
    parameters: pack([digest, pcrDigest], [TpmlPcrSelection, selection]),
    read: nothing,
  });
}

/** TPM2_PolicyNV, Part 3, 23.9: the index, from `offset` on, compared by `operation` (TPM_EO) with `operand`. */
export async function policyNv(
  tpm: CommandQueue,
  session: number,
  options: {
    readonly authHandle: Entity;
    readonly index: Entity;
    readonly operand: Buffer;
    readonly operation: number;
    readonly offset?: number;
    readonly auth?: Authorization;
  },
): Promise<void> {
  await execute(tpm, {
    command: 'PolicyNV',
    handles: [options.authHandle, options.index, session],
    auths: [options.auth ?? password()],
    parameters: pack([sized(64), options.operand], [u16, options.offset ?? 0], [u16, options.operation]),
    read: nothing,
  });
}

/** TPM2_PolicyCommandCode, Part 3, 23.11. */
export async function policyCommandCode(tpm: CommandQueue, session: number, code: number): Promise<void> {
  await execute(tpm, {
    command: 'PolicyCommandCode',
    handles: [session],
    parameters: pack([u32, code]),
    read: nothing,
  });
}

/** TPM2_PolicyCpHash, Part 3, 23.13: only the command with these parameters and handles. */
export async function policyCpHash(tpm: CommandQueue, session: number, cpHash: Buffer): Promise<void> {
  await execute(tpm, {
    command: 'PolicyCpHash',
    handles: [session],
    parameters: pack([digest, cpHash]),
    read: nothing,
  });
}

/** TPM2_PolicyNvWritten, Part 3, 23.20. */
export async function policyNvWritten(tpm: CommandQueue, session: number, written: boolean): Promise<void> {
  await execute(tpm, {
    command: 'PolicyNvWritten',
    handles: [session],
    parameters: pack([u8, written ? 1 : 0]),
    read: nothing,
  });
}

/** TPM2_PolicySigned, Part 3, 23.3. The signature is over H(nonceTPM ‖ expiration ‖ cpHashA ‖ policyRef). */
export async function policySigned(
  tpm: CommandQueue,
  session: number,
  options: {
    readonly key: Entity;
    /** The session's nonceTPM when the signature names it, else empty. */
    readonly nonceTpm?: Buffer;
    readonly policyRef?: Buffer;
    readonly signature: TpmtSignature;
  },
): Promise<void> {
  await execute(tpm, {
    command: 'PolicySigned',
    handles: [options.key, session],
    parameters: pack(
      [sized(64), options.nonceTpm ?? EMPTY],
      [digest, EMPTY],
      [digest, options.policyRef ?? EMPTY],
      [u32, 0],
      [TpmtSignature, options.signature],
    ),
    read: (from) => {
      timeout.read(from);
      TpmtTicket.read(from);
    },
  });
}

/** TPM2_PolicySecret, Part 3, 23.4: proves knowledge of the auth value of `authHandle`. */
export async function policySecret(
  tpm: CommandQueue,
  session: number,
  authHandle: Entity,
  auth: Authorization = password(),
): Promise<void> {
  await execute(tpm, {
    command: 'PolicySecret',
    handles: [authHandle, session],
    auths: [auth],
    parameters: pack([sized(64), EMPTY], [digest, EMPTY], [digest, EMPTY], [u32, 0]),
    read: (from) => {
      timeout.read(from);
      TpmtTicket.read(from);
    },
  });
}

/** TPM2_PolicyAuthorize, Part 3, 23.16: `ticket` of VerifySignature says that the key `keyName` approved this policy. */
export async function policyAuthorize(
  tpm: CommandQueue,
  session: number,
  options: {
    readonly approvedPolicy: Buffer;
    readonly policyRef: Buffer;
    readonly keyName: Buffer;
    readonly ticket: TpmtTicket;
  },
): Promise<void> {
  await execute(tpm, {
    command: 'PolicyAuthorize',
    handles: [session],
    parameters: pack(
      [digest, options.approvedPolicy],
      [digest, options.policyRef],
      [sized(66), options.keyName],
      [TpmtTicket, options.ticket],
    ),
    read: nothing,
  });
}

/** TPM2_PolicyOR, Part 3, 23.6: the policy so far must be one of 2 to 8. */
export async function policyOr(tpm: CommandQueue, session: number, policies: readonly Buffer[]): Promise<void> {
  await execute(tpm, {
    command: 'PolicyOR',
    handles: [session],
    parameters: pack([list(digest, 8), [...policies]]),
    read: nothing,
  });
}

/** TPM2_PolicyAuthorizeNV, Part 3, 23.22: the policy so far must be the one in the index (TPMT_HA). `authHandle` may read it. */
export async function policyAuthorizeNv(
  tpm: CommandQueue,
  session: number,
  authHandle: Entity,
  index: Entity,
  auth: Authorization = password(),
): Promise<void> {
  await execute(tpm, {
    command: 'PolicyAuthorizeNV',
    handles: [authHandle, index, session],
    auths: [auth],
    read: nothing,
  });
}
