// TPM2_StartAuthSession: plain, or salted by a key of this TPM so that listeners on the bus learn nothing.
import { randomBytes } from 'node:crypto';
import { sized, u16, u8 } from '../../bytes/wire.ts';
import { kdfA } from '../../crypto/kdf.ts';
import { execute, pack } from '../commands/execute.ts';
import type { LoadedObject } from '../commands/objects.ts';
import type { CommandQueue } from '../queue.ts';
import { encryptSeed } from '../seed.ts';
import { TpmError } from '../tpm-error.ts';
import { TPM_ALG, TPM_RH, TPM_SE } from '../wire/constants.ts';
import { TpmtSymDefObject } from '../wire/public.ts';
import { Session } from './session.ts';

const NONCE_BYTES = 32;
const NOTHING = Buffer.alloc(0);
/** What every session that can hide parameters uses. */
const AES_128_CFB = { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB };

/**
 * A key of this TPM that salts sessions, with the Name it must have: who could substitute the key could read all that the
 * session hides.
 */
export interface SaltKey {
  readonly key: LoadedObject;
  readonly pinnedName: Buffer;
}

export interface SessionOptions {
  /** hmac by default. trial: computes a policy digest, authorises nothing. */
  readonly kind?: 'hmac' | 'policy' | 'trial';
  readonly salt?: SaltKey;
}

/** Starts a session with SHA-256; salted, it also encrypts by AES-128-CFB. Errors: TpmError TPM_SESSION when the salt key is another. */
export async function startSession(tpm: CommandQueue, options: SessionOptions = {}): Promise<Session> {
  const kind = options.kind ?? 'hmac';
  const { salt } = options;
  if (salt !== undefined && !salt.key.name.equals(salt.pinnedName)) {
    throw new TpmError('TPM_SESSION', 'the key that should salt the session is not the one pinned by Name');
  }
  const nonceCaller = randomBytes(NONCE_BYTES);
  const seed = salt === undefined ? null : encryptSeed(salt.key.publicArea, 'SECRET');
  const types = { hmac: TPM_SE.HMAC, policy: TPM_SE.POLICY, trial: TPM_SE.TRIAL };
  const started = await execute(tpm, {
    command: 'StartAuthSession',
    deadline: 'nv',
    handles: [salt?.key.handle ?? TPM_RH.NULL, TPM_RH.NULL],
    returnsHandle: true,
    parameters: pack(
      [sized(64), nonceCaller],
      [sized(512), seed?.secret ?? NOTHING],
      [u8, types[kind]],
      [TpmtSymDefObject, seed === null ? null : AES_128_CFB],
      [u16, TPM_ALG.SHA256],
    ),
    read: (from, handle) => ({ handle, nonceTpm: sized(64).read(from) }),
  });
  const sessionKey = seed === null ? NOTHING : kdfA('sha256', seed.seed, 'ATH', started.nonceTpm, nonceCaller, 256);
  return new Session(tpm, { ...started, kind: kind === 'hmac' ? 'hmac' : 'policy', sessionKey });
}
