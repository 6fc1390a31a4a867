// Keys and sealed data: create, load, make persistent, forget.
import { sized, u32 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { TPM_RH } from '../wire/constants.ts';
import { objectName } from '../wire/names.ts';
import { Tpm2bPublic, Tpm2bSensitiveCreate, type TpmtPublic } from '../wire/public.ts';
import { TpmlPcrSelection } from '../wire/pcr.ts';
import { TpmtTicket } from '../wire/signature.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, handleOf, nothing, pack, type Entity } from './execute.ts';

const MAX_NAME = 66;
const MAX_CREATION_DATA = 1024;
const MAX_PRIVATE = 1536;
const MAX_SEALED = 256;

/** An object in the TPM. `name` was computed here from the public area, not taken from the TPM's word. */
export interface LoadedObject {
  readonly handle: number;
  readonly name: Buffer;
  readonly publicArea: TpmtPublic;
}

/** What a new object keeps secret: its authorisation value, and the data when it is sealed data. */
export interface Sensitive {
  readonly auth?: Buffer;
  readonly data?: Buffer;
}

function sensitiveOf(sensitive: Sensitive): { userAuth: Buffer; data: Buffer } {
  return { userAuth: sensitive.auth ?? Buffer.alloc(0), data: sensitive.data ?? Buffer.alloc(0) };
}

/** Refuses an object whose Name, as the TPM tells it, is not the Name of the public area it shows. */
function checkName(publicArea: TpmtPublic, told: Buffer): Buffer {
  const name = objectName(publicArea);
  if (!name.equals(told))
    throw new TpmError('TPM_RESPONSE', 'the TPM gives a Name that is not that of the public area');
  return name;
}

/** RSA keys are derived anew each time, which takes a discrete TPM up to minutes. */
function creationDeadline(template: TpmtPublic): 'key' | 'nv' {
  return template.area.type === 'rsa' ? 'key' : 'nv';
}

/** TPM2_CreatePrimary, Part 3, 24.1. `auth` is the hierarchy's. */
export async function createPrimary(
  tpm: CommandQueue,
  hierarchy: number,
  template: TpmtPublic,
  options: { auth?: Authorization; sensitive?: Sensitive } = {},
): Promise<LoadedObject> {
  return execute(tpm, {
    command: 'CreatePrimary',
    deadline: creationDeadline(template),
    handles: [hierarchy],
    auths: [options.auth ?? password()],
    returnsHandle: true,
    parameters: pack(
      [Tpm2bSensitiveCreate, sensitiveOf(options.sensitive ?? {})],
      [Tpm2bPublic, template],
      [sized(0), Buffer.alloc(0)],
      [TpmlPcrSelection, []],
    ),
    read: (from, handle) => {
      const publicArea = Tpm2bPublic.read(from);
      sized(MAX_CREATION_DATA).read(from);
      sized(64).read(from);
      TpmtTicket.read(from);
      return { handle, publicArea, name: checkName(publicArea, sized(MAX_NAME).read(from)) };
    },
  });
}

/** A child key or sealed data that is not loaded: both parts go to `load`. */
export interface CreatedObject {
  /** TPM2B_PRIVATE without its size. */
  readonly privateArea: Buffer;
  readonly publicArea: TpmtPublic;
}

/** TPM2_Create, Part 3, 12.1. `auth` is the parent's. */
export async function create(
  tpm: CommandQueue,
  parent: Entity,
  template: TpmtPublic,
  sensitive: Sensitive = {},
  auth: Authorization = password(),
): Promise<CreatedObject> {
  return execute(tpm, {
    command: 'Create',
    deadline: creationDeadline(template),
    handles: [parent],
    auths: [auth],
    parameters: pack(
      [Tpm2bSensitiveCreate, sensitiveOf(sensitive)],
      [Tpm2bPublic, template],
      [sized(0), Buffer.alloc(0)],
      [TpmlPcrSelection, []],
    ),
    read: (from) => {
      const privateArea = sized(MAX_PRIVATE).read(from);
      const publicArea = Tpm2bPublic.read(from);
      sized(MAX_CREATION_DATA).read(from);
      sized(64).read(from);
      TpmtTicket.read(from);
      return { privateArea, publicArea };
    },
  });
}

/** TPM2_Load, Part 3, 12.2. */
export async function load(
  tpm: CommandQueue,
  parent: Entity,
  object: CreatedObject,
  auth: Authorization = password(),
): Promise<LoadedObject> {
  return execute(tpm, {
    command: 'Load',
    deadline: 'nv',
    handles: [parent],
    auths: [auth],
    returnsHandle: true,
    parameters: pack([sized(MAX_PRIVATE), object.privateArea], [Tpm2bPublic, object.publicArea]),
    read: (from, handle) => ({
      handle,
      publicArea: object.publicArea,
      name: checkName(object.publicArea, sized(MAX_NAME).read(from)),
    }),
  });
}

/** TPM2_LoadExternal of a public key, Part 3, 12.3. Tickets of VerifySignature need a hierarchy other than NULL. */
export async function loadExternal(
  tpm: CommandQueue,
  publicArea: TpmtPublic,
  hierarchy: number = TPM_RH.OWNER,
): Promise<LoadedObject> {
  return execute(tpm, {
    command: 'LoadExternal',
    returnsHandle: true,
    parameters: pack([sized(0), Buffer.alloc(0)], [Tpm2bPublic, publicArea], [u32, hierarchy]),
    read: (from, handle) => ({ handle, publicArea, name: checkName(publicArea, sized(MAX_NAME).read(from)) }),
  });
}

/** TPM2_ReadPublic, Part 3, 12.4. */
export async function readPublic(tpm: CommandQueue, handle: number): Promise<LoadedObject & { qualifiedName: Buffer }> {
  return execute(tpm, {
    command: 'ReadPublic',
    handles: [handle],
    read: (from) => {
      const publicArea = Tpm2bPublic.read(from);
      const name = checkName(publicArea, sized(MAX_NAME).read(from));
      return { handle, publicArea, name, qualifiedName: sized(MAX_NAME).read(from) };
    },
  });
}

/** TPM2_Unseal, Part 3, 12.7. Use a session that encrypts the response. */
export async function unseal(tpm: CommandQueue, object: Entity, auth: Authorization): Promise<Buffer> {
  return execute(tpm, {
    command: 'Unseal',
    handles: [object],
    auths: [auth],
    read: (from) => sized(MAX_SEALED).read(from),
  });
}

/** TPM2_EvictControl, Part 3, 28.5: makes `object` persistent at `at`, or forgets it when it is persistent there. */
export async function evictControl(
  tpm: CommandQueue,
  object: Entity,
  at: number,
  auth: Authorization = password(),
): Promise<void> {
  await execute(tpm, {
    command: 'EvictControl',
    deadline: 'nv',
    handles: [TPM_RH.OWNER, object],
    auths: [auth],
    parameters: pack([u32, at]),
    read: nothing,
  });
}

/** TPM2_FlushContext, Part 3, 28.4: forgets a transient object or a session. */
export async function flushContext(tpm: CommandQueue, entity: Entity): Promise<void> {
  await execute(tpm, { command: 'FlushContext', parameters: pack([u32, handleOf(entity)]), read: nothing });
}

/** TPMS_CONTEXT, Part 2, 14.5, kept as it is: only this TPM can read it. */
export interface SavedContext {
  readonly handle: number;
  readonly bytes: Buffer;
}

/** TPM2_ContextSave, Part 3, 28.2. */
export async function contextSave(tpm: CommandQueue, entity: Entity): Promise<SavedContext> {
  return execute(tpm, {
    command: 'ContextSave',
    handles: [entity],
    read: (from) => ({ handle: handleOf(entity), bytes: from.rest() }),
  });
}

/** TPM2_ContextLoad, Part 3, 28.3. Returns the handle, which for an object is a new one. */
export async function contextLoad(tpm: CommandQueue, context: SavedContext): Promise<number> {
  return execute(tpm, {
    command: 'ContextLoad',
    returnsHandle: true,
    parameters: context.bytes,
    read: (_, handle) => handle,
  });
}
