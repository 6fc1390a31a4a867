// Finds the TPM's endorsement key: by its certificate, not by its curve.
import { encode } from '../bytes/wire.ts';
import { nvRead, nvReadPublic } from './commands/nv.ts';
import { readHandles } from './commands/capabilities.ts';
import {
  contextLoad,
  contextSave,
  createPrimary,
  flushContext,
  readPublic,
  type LoadedObject,
  type SavedContext,
} from './commands/objects.ts';
import { withAuth } from './hierarchy-auth.ts';
import type { CommandQueue } from './queue.ts';
import { isRefusal, TpmError, TpmResponseError } from './tpm-error.ts';
import { TPM_RH } from './wire/constants.ts';
import { TpmtPublic } from './wire/public.ts';
import { EK_TEMPLATES, type EkTemplate } from './wire/templates.ts';

/** Response codes: no such handle; the bytes were not made by this start of this TPM; the NV index was never written. */
const RC_HANDLE = 0x8b;
const RC_INTEGRITY = 0x9f;
const RC_NV_UNINITIALIZED = 0x14a;

/** The endorsement key of this TPM. */
export interface EndorsementKey {
  readonly template: EkTemplate;
  readonly publicArea: TpmtPublic;
  readonly name: Buffer;
  /** DER; absent where no certificate in NV belongs to the key. */
  readonly certificate?: Buffer;
  /** Where it is: a persistent handle, or a context that only this start of the TPM can load. */
  readonly place: { readonly persistent: number } | { readonly saved: SavedContext };
}

/** What the outer SEQUENCE says: NV indices are often larger than the certificate in them. Anything else is given as it is. */
function withoutPadding(der: Buffer): Buffer {
  if (der.length < 4 || der.readUInt16BE(0) !== 0x3082) return der;
  return der.subarray(0, 4 + der.readUInt16BE(2));
}

/** What NV holds at `index`; null where there is no such index, or nothing in it. */
async function readIndex(tpm: CommandQueue, index: number): Promise<Buffer | null> {
  try {
    const publicArea = await nvReadPublic(tpm, index);
    // By the index's own empty auth value: the owner's may be set.
    return await nvRead(tpm, publicArea, { authHandle: publicArea });
  } catch (error) {
    if (isRefusal(error, RC_HANDLE) || isRefusal(error, RC_NV_UNINITIALIZED)) return null;
    throw error;
  }
}

/** The certificate in NV at `index`, DER, or null. */
export async function readCertificate(tpm: CommandQueue, index: number): Promise<Buffer | null> {
  const contents = await readIndex(tpm, index);
  return contents === null ? null : withoutPadding(contents);
}

/** Where a vendor may leave what lies between its root and the certificate (TCG EK Credential Profile 2.5, 2.2.1.5). */
const CHAIN_FIRST = 0x01c00100;
const CHAIN_INDICES = 16;
/** As many as a request may carry. */
const CHAIN_MAX = 4;
const CERTIFICATE_MAX = 8192;

/** Certificates of authorities from NV, DER each, at most 4; none where the vendor left none. What they are worth is the verifier's judgement. */
export async function readCertificateChain(tpm: CommandQueue): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < CHAIN_INDICES; at++) {
    // An index that cannot be read is none: a device without its vendor's intermediates still has its certificate.
    const piece = await readIndex(tpm, CHAIN_FIRST + at).catch((error: unknown) => {
      if (error instanceof TpmResponseError) return null;
      throw error;
    });
    if (piece === null) break;
    pieces.push(piece);
  }
  // One after another, and one may begin in an index and end in the next.
  let rest = Buffer.concat(pieces);
  const chain: Buffer[] = [];
  while (chain.length < CHAIN_MAX && rest.length > 4 && rest.readUInt16BE(0) === 0x3082) {
    const certificate = withoutPadding(rest);
    if (certificate.length > CERTIFICATE_MAX) break;
    rest = rest.subarray(certificate.length);
    chain.push(certificate);
  }
  return chain;
}

/** The public key as it stands in any certificate for it, whatever algorithm identifier the vendor chose. */
function rawKey({ area }: TpmtPublic): Buffer | null {
  if (area.type === 'rsa') return area.modulus;
  return area.type === 'ecc' ? Buffer.concat([area.x, area.y]) : null;
}

/** Only a choice among this TPM's own keys; whether the certificate is genuine is the verifier's judgement. */
function belongs(certificate: Buffer, publicArea: TpmtPublic): boolean {
  const key = rawKey(publicArea);
  return key !== null && key.length >= 32 && certificate.includes(key);
}

/** Whether a key was made from this template: equal in all but the unique value. */
function isMadeFrom(template: TpmtPublic, publicArea: TpmtPublic): boolean {
  const empty = Buffer.alloc(0);
  const without = (of: TpmtPublic): Buffer => {
    if (of.area.type === 'ecc') return encode(TpmtPublic, { ...of, area: { ...of.area, x: empty, y: empty } });
    if (of.area.type === 'rsa') return encode(TpmtPublic, { ...of, area: { ...of.area, modulus: empty } });
    return empty;
  };
  const wanted = without(template);
  return wanted.length > 0 && wanted.equals(without(publicArea));
}

/** Persistent objects in the range of endorsement keys (TCG registry of reserved handles, 2.3.1). */
async function persistentKeys(tpm: CommandQueue): Promise<LoadedObject[]> {
  const keys: LoadedObject[] = [];
  for (const handle of await readHandles(tpm, 0x81010000)) {
    if (handle > 0x8101ffff) break;
    // Another kind of object than we know, or one that vanished meanwhile, is not our key.
    const key = await readPublic(tpm, handle).catch((error: unknown) => {
      if (error instanceof TpmResponseError) return null;
      if (error instanceof Error && 'code' in error && error.code === 'TPM_RESPONSE') return null;
      throw error;
    });
    if (key !== null) keys.push(key);
  }
  return keys;
}

/** Makes the key anew and keeps it as a saved context, so that it takes no slot of the TPM while it is not used. */
async function recreate(tpm: CommandQueue, template: EkTemplate, auth: Buffer | undefined): Promise<EndorsementKey> {
  const key = await withAuth(tpm, auth, (authorization) =>
    createPrimary(tpm, TPM_RH.ENDORSEMENT, template.template, { auth: authorization }),
  );
  try {
    const saved = await contextSave(tpm, key);
    return { template, publicArea: key.publicArea, name: key.name, place: { saved } };
  } finally {
    await flushContext(tpm, key);
  }
}

/** Whether the TPM has no such algorithm, curve or size: the next template may do. */
function isUnsupported(error: unknown): boolean {
  return [0x81, 0x83, 0x84, 0x87, 0x92, 0x96, 0xa6].some((code) => isRefusal(error, code));
}

/**
 * Of the templates L-2, L-1, H-2, H-3, H-1 the first whose certificate in NV is of the key made from it; where there is none,
 * the first that this TPM supports, without certificate. `auth` is the endorsement hierarchy's.
 */
export async function findEndorsementKey(tpm: CommandQueue, auth?: Buffer): Promise<EndorsementKey> {
  const persistent = await persistentKeys(tpm);
  for (const template of EK_TEMPLATES) {
    const certificate = await readCertificate(tpm, template.certificateIndex);
    if (certificate === null) continue;
    const kept = persistent.find(
      ({ publicArea }) => isMadeFrom(template.template, publicArea) && belongs(certificate, publicArea),
    );
    if (kept !== undefined) {
      const { publicArea, name, handle } = kept;
      return { template, publicArea, name, certificate, place: { persistent: handle } };
    }
    const made = await recreate(tpm, template, auth);
    if (belongs(certificate, made.publicArea)) return { ...made, certificate };
  }
  let unsupported: unknown;
  for (const template of EK_TEMPLATES) {
    try {
      return await recreate(tpm, template, auth);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      unsupported = error;
    }
  }
  throw unsupported;
}

/** A saved context ends with the TPM's start or when the TPM is cleared; the key does not, and is then made anew. */
async function loadSaved(
  tpm: CommandQueue,
  { template, name }: EndorsementKey,
  saved: SavedContext,
  auth: Buffer | undefined,
): Promise<number> {
  try {
    return await contextLoad(tpm, saved);
  } catch (error) {
    if (!isRefusal(error, RC_INTEGRITY)) throw error;
    const made = await withAuth(tpm, auth, (authorization) =>
      createPrimary(tpm, TPM_RH.ENDORSEMENT, template.template, { auth: authorization }),
    );
    if (made.name.equals(name)) return made.handle;
    await flushContext(tpm, made);
    throw new TpmError('TPM_RESPONSE', 'the endorsement key of this TPM is another than before', { cause: error });
  }
}

/** Runs `work` while the key is loaded. `auth` is the endorsement hierarchy's. */
export async function withEndorsementKey<T>(
  tpm: CommandQueue,
  key: EndorsementKey,
  auth: Buffer | undefined,
  work: (loaded: LoadedObject) => Promise<T>,
): Promise<T> {
  const { publicArea, name, place } = key;
  if ('persistent' in place) return work({ handle: place.persistent, publicArea, name });
  const handle = await loadSaved(tpm, key, place.saved, auth);
  try {
    return await work({ handle, publicArea, name });
  } finally {
    await flushContext(tpm, handle).catch(() => {});
  }
}
