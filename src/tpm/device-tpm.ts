// The Tpm port on a real TPM: hardware, firmware or swtpm, over any transport.
import { encode } from '../bytes/wire.ts';
import { sha256 } from '../crypto/digest.ts';
import { deriveAttestationKey, AK_HANDLE, type AttestationKey } from './attestation-key.ts';
import { nvCertify, quote } from './commands/attest.ts';
import { password } from './commands/authorization.ts';
import { readHandles, readPcrBanks, readProperties } from './commands/capabilities.ts';
import { activateCredential } from './commands/credential.ts';
import { readClock } from './commands/lifecycle.ts';
import type { Entity } from './commands/execute.ts';
import { flushContext, type LoadedObject } from './commands/objects.ts';
import { pcrExtend, pcrRead } from './commands/pcr.ts';
import { policySecret } from './commands/policy.ts';
import { getRandom } from './commands/random.ts';
import { hash as hashInTpm } from './commands/signing.ts';
import {
  findEndorsementKey,
  readCertificateChain,
  withEndorsementKey,
  type EndorsementKey,
} from './endorsement-key.ts';
import { authsInEffect, type HierarchyAuths } from './hierarchy-auth.ts';
import { readOwnership, takeOwnership, type Ownership, type OwnershipTaken } from './ownership.ts';
import type { PcrSelection, Quote, Tpm, TpmClock, TpmIdentity } from './port.ts';
import { CommandQueue, type QueueEvent, type QueueTiming } from './queue.ts';
import type { Session } from './sessions/session.ts';
import { startSession } from './sessions/start.ts';
import { TpmError } from './tpm-error.ts';
import type { TpmTransport } from './transport/transport.ts';
import { TPM_ALG, TPM_PT, TPM_RH } from './wire/constants.ts';
import { qualifiedName } from './wire/names.ts';
import { bankAlgorithm, toTpmlPcrSelection } from './wire/pcr.ts';
import { TpmtPublic } from './wire/public.ts';

/** What the owner of a DeviceTpm may log. Nothing in it is secret. */
export type DeviceTpmEvent =
  | QueueEvent
  | { readonly kind: 'flushed'; readonly handles: number }
  | { readonly kind: 'ak'; readonly place: AttestationKey['place'] };

export interface DeviceTpmOptions {
  readonly transport: TpmTransport;
  /** Auth values of the hierarchies; one that the TPM has not set is not used. */
  readonly auths?: HierarchyAuths;
  /** Where the AK is kept between starts; null keeps it out of other processes' reach, for a derivation at each start. */
  readonly akHandle?: number | null;
  /** The EK's Name from enrolment: sessions are salted by no other key. Without it, by the key found at first use. */
  readonly ekName?: Buffer;
  readonly timing?: QueueTiming;
  readonly onEvent?: (event: DeviceTpmEvent) => void;
}

/** What work beyond the port gets. */
export interface TpmParts {
  readonly queue: CommandQueue;
  /** Salted by the EK: what it authenticates came from this TPM. */
  readonly session: Session;
  readonly ak: LoadedObject;
  readonly auths: HierarchyAuths;
}

/** The longest that the specification allows (Part 2, 10.11.1), for a TPM that does not tell its own. */
const LONGEST_CLOCK_UPDATE_MS = 1 << 22;

/** What the ticket of a life is for. */
const LIFE = Buffer.from('touchstone/tpm-life/1', 'latin1');

/** Four characters, padded with NUL or spaces: TPM_PT_MANUFACTURER, Part 2, 6.13. */
function manufacturerText(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '')
    .trim();
}

/** Without a resource manager, what a killed process had loaded is still there, and three of them fill the TPM. */
async function flushLeaked(tpm: CommandQueue): Promise<number> {
  let flushed = 0;
  for (const range of [0x80000000, 0x02000000, 0x03000000]) {
    for (const handle of await readHandles(tpm, range)) {
      await flushContext(tpm, handle);
      flushed += 1;
    }
  }
  return flushed;
}

async function requireSha256Bank(tpm: CommandQueue): Promise<void> {
  const bank = (await readPcrBanks(tpm)).find(({ hash }) => hash === TPM_ALG.SHA256);
  if (bank === undefined || bank.pcrs.length === 0) {
    throw new TpmError(
      'TPM_UNAVAILABLE',
      'the SHA-256 PCR bank of this TPM is not active; switch it on in the firmware setup',
    );
  }
}

/** See `openDeviceTpm`. Its methods run one at a time, in the order they were called. */
export class DeviceTpm implements Tpm {
  /** For commands beyond the port, such as NV. They go between the port's methods, never into the middle of a command. */
  readonly queue: CommandQueue;
  readonly #ak: LoadedObject;
  readonly #options: DeviceTpmOptions;
  #auths: HierarchyAuths;
  #ek: EndorsementKey | null = null;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(queue: CommandQueue, ak: LoadedObject, options: DeviceTpmOptions) {
    this.queue = queue;
    this.#ak = ak;
    this.#options = options;
    this.#auths = options.auths ?? {};
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }

  readClock(): Promise<TpmClock> {
    return this.#inOrder(async () => (await readClock(this.queue)).clockInfo);
  }

  readPcrs(selection: PcrSelection): Promise<Buffer[]> {
    return this.#inOrder(() => pcrRead(this.queue, bankAlgorithm(selection.bank), selection.pcrs));
  }

  extendPcr(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#inOrder(() => pcrExtend(this.queue, pcr, TPM_ALG.SHA256, digest));
  }

  quote(qualifyingData: Uint8Array, selection: PcrSelection): Promise<Quote> {
    return this.#inOrder(() => quote(this.queue, this.#ak, qualifyingData, toTpmlPcrSelection(selection)));
  }

  /** The AK's word on the first `size` bytes of an NV index that authorises itself by its empty auth value. */
  certifyNv(index: Entity, size: number, qualifyingData: Uint8Array): Promise<Quote> {
    return this.#inOrder(() => nvCertify(this.queue, this.#ak, index, index, qualifyingData, { size }));
  }

  identity(): Promise<TpmIdentity> {
    return this.#inOrder(async () => {
      const ek = await this.#endorsementKey();
      const ekChain = ek.certificate === undefined ? [] : await readCertificateChain(this.queue);
      const fixed = await readProperties(this.queue, TPM_PT.FAMILY_INDICATOR);
      const high = BigInt(fixed.get(TPM_PT.FIRMWARE_VERSION_1) ?? 0);
      const low = BigInt(fixed.get(TPM_PT.FIRMWARE_VERSION_2) ?? 0);
      return {
        ekPublic: encode(TpmtPublic, ek.publicArea),
        ...(ek.certificate === undefined ? {} : { ekCertificate: ek.certificate }),
        ...(ekChain.length === 0 ? {} : { ekChain }),
        akPublic: encode(TpmtPublic, this.#ak.publicArea),
        akName: this.#ak.name,
        akQualifiedName: qualifiedName(TPM_RH.ENDORSEMENT, this.#ak.name),
        manufacturer: manufacturerText(fixed.get(TPM_PT.MANUFACTURER) ?? 0),
        firmwareVersion: (high << 32n) | low,
        clockUpdateMs: fixed.get(TPM_PT.CLOCK_UPDATE) ?? LONGEST_CLOCK_UPDATE_MS,
      };
    });
  }

  /**
   * By a ticket of the owner hierarchy, an HMAC under its proof (Part 2, 10.7.5), which TPM2_Clear replaces (Part 3, 24.6): it costs one
   * short command and no authorisation. A TPM whose owner hierarchy is switched off gives an empty one.
   */
  life(): Promise<Buffer> {
    return this.#inOrder(async () => sha256(LIFE, (await hashInTpm(this.queue, LIFE, TPM_RH.OWNER)).ticket.digest));
  }

  activateCredential(credentialBlob: Uint8Array, secret: Uint8Array): Promise<Buffer> {
    return this.#inOrder(() =>
      this.#salted(async (session, ek) => {
        const credential = { blob: credentialBlob, secret };
        // The AK's auth value is empty; its session is there to bring the secret over the bus unread.
        const hidden = (): ReturnType<Session['use']> => session.use({ encryptResponse: true });
        const { template } = await this.#endorsementKey();
        if (template.auth === 'password') {
          return activateCredential(this.queue, this.#ak, ek, credential, { activate: hidden(), key: password() });
        }
        await using policy = await startSession(this.queue, { kind: 'policy' });
        const endorsement = session.use(this.#auths.endorsement === undefined ? {} : { auth: this.#auths.endorsement });
        await policySecret(this.queue, policy.handle, TPM_RH.ENDORSEMENT, endorsement);
        return await activateCredential(this.queue, this.#ak, ek, credential, {
          activate: hidden(),
          key: policy.use(),
        });
      }),
    );
  }

  /** `count` bytes of the TPM's random generator, unread on the bus. */
  random(count: number): Promise<Buffer> {
    return this.#inOrder(() =>
      this.#salted((session) => getRandom(this.queue, count, () => session.use({ encryptResponse: true }))),
    );
  }

  /** Runs `work` in order with the port's methods, none of which runs in its middle. At most two sessions and one object may be added. */
  withParts<T>(work: (parts: TpmParts) => Promise<T>): Promise<T> {
    return this.#inOrder(() =>
      this.#salted((session) => work({ queue: this.queue, session, ak: this.#ak, auths: this.#auths })),
    );
  }

  ownership(): Promise<Ownership> {
    return this.#inOrder(() => readOwnership(this.queue));
  }

  /** See takeOwnership of ownership.ts. Later methods use the values that were set now. */
  takeOwnership(values: Required<HierarchyAuths>): Promise<OwnershipTaken> {
    return this.#inOrder(async () => {
      const ek = await this.#endorsementKey();
      const taken = await withEndorsementKey(this.queue, ek, this.#auths.endorsement, (key) =>
        takeOwnership(this.queue, { key, pinnedName: this.#options.ekName ?? ek.name }, values),
      );
      const changed: { -readonly [K in keyof HierarchyAuths]: HierarchyAuths[K] } = { ...this.#auths };
      for (const name of ['owner', 'endorsement', 'lockout'] as const) {
        if (taken[name] === 'set') changed[name] = values[name];
      }
      this.#auths = changed;
      return taken;
    });
  }

  async #endorsementKey(): Promise<EndorsementKey> {
    this.#ek ??= await findEndorsementKey(this.queue, this.#auths.endorsement);
    return this.#ek;
  }

  /** Runs `work` in a session salted by the EK, which is loaded meanwhile. */
  async #salted<T>(work: (session: Session, ek: LoadedObject) => Promise<T>): Promise<T> {
    const ek = await this.#endorsementKey();
    return withEndorsementKey(this.queue, ek, this.#auths.endorsement, async (key) => {
      const salt = { key, pinnedName: this.#options.ekName ?? ek.name };
      await using session = await startSession(this.queue, { salt });
      return await work(session, key);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    if (this.#ak.handle >>> 24 === 0x80) await flushContext(this.queue, this.#ak).catch(() => {});
    await this.queue[Symbol.asyncDispose]();
  }
}

/**
 * Makes the TPM ours: flushes what others leaked (raw transports), checks that the SHA-256 bank is active, derives the AK.
 * The transport is closed on failure, and by the DeviceTpm's disposal. Errors: TpmError.
 */
export async function openDeviceTpm(options: DeviceTpmOptions): Promise<DeviceTpm> {
  const onEvent = options.onEvent ?? (() => {});
  const queue = new CommandQueue(options.transport, {
    onEvent,
    ...(options.timing === undefined ? {} : { timing: options.timing }),
  });
  try {
    if (queue.raw) {
      const handles = await flushLeaked(queue);
      if (handles > 0) onEvent({ kind: 'flushed', handles });
    }
    await requireSha256Bank(queue);
    const persistAt = options.akHandle === undefined ? AK_HANDLE : options.akHandle;
    const auths = options.auths === undefined ? {} : authsInEffect(options.auths, await readOwnership(queue));
    const ak = await deriveAttestationKey(queue, auths, persistAt);
    onEvent({ kind: 'ak', place: ak.place });
    return new DeviceTpm(queue, ak.key, { ...options, auths });
  } catch (error) {
    await queue[Symbol.asyncDispose]();
    throw error;
  }
}
