// An authorisation session: proves knowledge of auth values without showing them, authenticates answers, hides parameters.
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { kdfA } from '../../crypto/kdf.ts';
import type { Authorization, ResponseAuth } from '../commands/authorization.ts';
import { flushContext } from '../commands/objects.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { TPMA_SESSION } from '../wire/constants.ts';

/** What one use of a session does besides authorising. */
export interface SessionUse {
  /** Auth value of the entity that this use authorises; empty when it authorises none. */
  readonly auth?: Buffer;
  /** Its auth value after the command, where the command changes it. */
  readonly authAfter?: Buffer;
  /** Hide the command's first parameter. */
  readonly encryptCommand?: boolean;
  /** Hide the response's first parameter. */
  readonly encryptResponse?: boolean;
}

const NONCE_BYTES = 32;
const NOTHING = Buffer.alloc(0);

/** Auth values are compared without trailing zeros (Part 1, 19.6.4.3). */
function trimmed(auth: Buffer): Buffer {
  let end = auth.length;
  while (end > 0 && auth[end - 1] === 0) end -= 1;
  return auth.subarray(0, end);
}

/** A loaded session; see `startSession`. Disposal flushes it. The nonces roll with every answer, so use it for one command at a time. */
export class Session implements AsyncDisposable {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly #tpm: CommandQueue;
  /** Empty in a session without salt. */
  readonly #key: Buffer;
  #nonceTpm: Buffer;

  constructor(
    tpm: CommandQueue,
    opened: { handle: number; kind: 'hmac' | 'policy'; sessionKey: Buffer; nonceTpm: Buffer },
  ) {
    this.#tpm = tpm;
    this.handle = opened.handle;
    this.kind = opened.kind;
    this.#key = opened.sessionKey;
    this.#nonceTpm = opened.nonceTpm;
  }

  /** What PolicySigned signatures are bound to. */
  get nonceTpm(): Buffer {
    return this.#nonceTpm;
  }

  /** The session as the authorisation of one command. */
  use(use: SessionUse = {}): Authorization {
    const auth = trimmed(use.auth ?? NOTHING);
    const hidden = Buffer.concat([this.#key, auth]);
    const hides = use.encryptCommand === true || use.encryptResponse === true;
    if (hides && hidden.length === 0) throw new TypeError('a session without salt hides nothing');
    // Part 1, 19.7: a policy session's HMAC has the auth value only after PolicyAuthValue, which this product does not use.
    const keyWith = (value: Buffer): Buffer => (this.kind === 'policy' ? this.#key : Buffer.concat([this.#key, value]));
    const commandKey = keyWith(auth);
    const responseKey = keyWith(trimmed(use.authAfter ?? use.auth ?? NOTHING));
    const attributes =
      TPMA_SESSION.continueSession |
      (use.encryptCommand === true ? TPMA_SESSION.decrypt : 0) |
      (use.encryptResponse === true ? TPMA_SESSION.encrypt : 0);
    const nonceCaller = randomBytes(NONCE_BYTES);
    const nonceTpm = this.#nonceTpm;
    const hmac = (key: Buffer, ...parts: readonly Buffer[]): Buffer =>
      key.length === 0 && this.kind === 'policy'
        ? NOTHING
        : createHmac('sha256', key).update(Buffer.concat(parts)).digest();
    return {
      handle: this.handle,
      attributes,
      nonceTpm,
      nonceCaller,
      authenticates: true,
      authorize: (cpHash, otherNonces) =>
        hmac(commandKey, cpHash, nonceCaller, nonceTpm, otherNonces, Buffer.from([attributes])),
      accept: (rpHash, response) => {
        const expected = hmac(responseKey, rpHash, response.nonceTpm, nonceCaller, Buffer.from([response.attributes]));
        this.#accept(expected, response, attributes);
      },
      encryptCommand: (plain) => {
        const { key, iv } = cfbKey(hidden, nonceCaller, nonceTpm);
        const cipher = createCipheriv('aes-128-cfb', key, iv);
        return Buffer.concat([cipher.update(plain), cipher.final()]);
      },
      decryptResponse: (secret) => {
        const { key, iv } = cfbKey(hidden, this.#nonceTpm, nonceCaller);
        const decipher = createDecipheriv('aes-128-cfb', key, iv);
        return Buffer.concat([decipher.update(secret), decipher.final()]);
      },
    };
  }

  #accept(expected: Buffer, response: ResponseAuth, attributes: number): void {
    if (response.hmac.length !== expected.length || !timingSafeEqual(response.hmac, expected)) {
      throw new TpmError('TPM_SESSION', 'the response of the TPM does not authenticate');
    }
    if ((response.attributes & TPMA_SESSION.encrypt) !== (attributes & TPMA_SESSION.encrypt)) {
      throw new TpmError('TPM_SESSION', 'the TPM did not encrypt the response as asked');
    }
    this.#nonceTpm = response.nonceTpm;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A session of a TPM that is gone, or was reset, is gone too.
    await flushContext(this.#tpm, this.handle).catch(() => {});
  }
}

/** Part 1, 21.3: AES-128-CFB with key and IV of KDFa(sessionKey ‖ authValue, "CFB", nonceNewer, nonceOlder). */
function cfbKey(secret: Buffer, nonceNewer: Buffer, nonceOlder: Buffer): { key: Buffer; iv: Buffer } {
  const bytes = kdfA('sha256', secret, 'CFB', nonceNewer, nonceOlder, 256);
  return { key: bytes.subarray(0, 16), iv: bytes.subarray(16) };
}
