// What entitles a command to use a handle: a password, or a session that authenticates and encrypts.
import { TPM_RH, TPMA_SESSION } from '../wire/constants.ts';

/** TPMS_AUTH_RESPONSE, Part 2, 10.13.3, as the TPM sent it: nothing of it is proved until `accept` returns. */
export interface ResponseAuth {
  readonly nonceTpm: Buffer;
  readonly attributes: number;
  readonly hmac: Buffer;
}

/** One entry of a command's authorisation area, good for one command. */
export interface Authorization {
  /** TPM_RS_PW or the session's handle. */
  readonly handle: number;
  /** TPMA_SESSION. */
  readonly attributes: number;
  /** The nonce of the TPM's last answer in this session; empty for a password. */
  readonly nonceTpm: Buffer;
  /** Fresh for this command; empty for a password. */
  readonly nonceCaller: Buffer;
  /** Whether cpHash and rpHash are needed, and thereby the names of all handles. */
  readonly authenticates: boolean;
  /** TPM2B_AUTH of the command: a password, or the HMAC. `otherNonces`: of the encrypting sessions, when this one is the first. */
  authorize(cpHash: Buffer, otherNonces: Buffer): Buffer;
  /** Checks the response and takes its nonce over. Errors: TpmError with code TPM_SESSION. */
  accept(rpHash: Buffer, response: ResponseAuth): void;
  /** The contents of the command's first TPM2B, encrypted; only with TPMA_SESSION.decrypt. */
  encryptCommand(plain: Buffer): Buffer;
  /** The contents of the response's first TPM2B, in clear; only with TPMA_SESSION.encrypt and after `accept`. */
  decryptResponse(secret: Buffer): Buffer;
}

const NOTHING = Buffer.alloc(0);

/** A password in clear: for values that are empty, or no secret on this machine's bus. */
export function password(value: Uint8Array = NOTHING): Authorization {
  return {
    handle: TPM_RH.PW,
    attributes: TPMA_SESSION.continueSession,
    nonceTpm: NOTHING,
    nonceCaller: NOTHING,
    authenticates: false,
    authorize: () => Buffer.from(value),
    accept: () => {},
    encryptCommand: () => {
      throw new TypeError('a password does not encrypt');
    },
    decryptResponse: () => {
      throw new TypeError('a password does not decrypt');
    },
  };
}
