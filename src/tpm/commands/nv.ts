// NV indices: ordinary, counter and extend.
import { sized, u16 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { TPM_RH } from '../wire/constants.ts';
import { nvName } from '../wire/names.ts';
import { Tpm2bNvPublic, type TpmsNvPublic } from '../wire/nv.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, nothing, pack, type Entity } from './execute.ts';

/** One command moves at most TPM_PT_NV_BUFFER_MAX; 512 is the least that PC Client TPMs take. */
const CHUNK = 512;

/** An NV index as the TPM describes it; `name` was computed here. */
export interface NvIndex {
  readonly handle: number;
  readonly name: Buffer;
  readonly publicArea: TpmsNvPublic;
}

/** TPM2_NV_DefineSpace, Part 3, 31.3, in the owner hierarchy. */
export async function nvDefine(
  tpm: CommandQueue,
  publicArea: TpmsNvPublic,
  options: { auth?: Authorization; indexAuth?: Buffer } = {},
): Promise<void> {
  await execute(tpm, {
    command: 'NV_DefineSpace',
    deadline: 'nv',
    handles: [TPM_RH.OWNER],
    auths: [options.auth ?? password()],
    parameters: pack([sized(64), options.indexAuth ?? Buffer.alloc(0)], [Tpm2bNvPublic, publicArea]),
    read: nothing,
  });
}

/** TPM2_NV_UndefineSpace, Part 3, 31.4, by the owner. */
export async function nvUndefine(tpm: CommandQueue, index: Entity, auth: Authorization = password()): Promise<void> {
  await execute(tpm, {
    command: 'NV_UndefineSpace',
    deadline: 'nv',
    handles: [TPM_RH.OWNER, index],
    auths: [auth],
    read: nothing,
  });
}

/** TPM2_NV_ReadPublic, Part 3, 31.6. */
export async function nvReadPublic(tpm: CommandQueue, handle: number): Promise<NvIndex> {
  return execute(tpm, {
    command: 'NV_ReadPublic',
    handles: [handle],
    read: (from) => {
      const publicArea = Tpm2bNvPublic.read(from);
      const name = nvName(publicArea);
      if (publicArea.nvIndex !== handle || !name.equals(sized(66).read(from))) {
        throw new TpmError('TPM_RESPONSE', 'TPM2_NV_ReadPublic: the Name is not that of the index asked for');
      }
      return { handle, name, publicArea };
    },
  });
}

/** TPM2_NV_Read, Part 3, 31.13: the whole index, in as many commands as it takes. `auth` makes the authorisation of each. */
export async function nvRead(
  tpm: CommandQueue,
  index: NvIndex,
  options: { authHandle?: Entity; auth?: () => Authorization } = {},
): Promise<Buffer> {
  const { dataSize } = index.publicArea;
  const parts: Buffer[] = [];
  for (let offset = 0; offset < dataSize; offset += CHUNK) {
    const size = Math.min(CHUNK, dataSize - offset);
    const part = await execute(tpm, {
      command: 'NV_Read',
      deadline: 'nv',
      handles: [options.authHandle ?? TPM_RH.OWNER, index],
      auths: [options.auth?.() ?? password()],
      parameters: pack([u16, size], [u16, offset]),
      read: (from) => {
        const bytes = sized(CHUNK).read(from);
        if (bytes.length !== size) from.fail('WIRE_RANGE', `${bytes.length} bytes, asked for ${size}`);
        return bytes;
      },
    });
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** TPM2_NV_Write, Part 3, 31.7. `authHandle`: the owner, or the index itself for its own auth value or policy. */
export async function nvWrite(
  tpm: CommandQueue,
  index: Entity,
  data: Uint8Array,
  options: { authHandle: Entity; auth?: Authorization; offset?: number },
): Promise<void> {
  await execute(tpm, {
    command: 'NV_Write',
    deadline: 'nv',
    handles: [options.authHandle, index],
    auths: [options.auth ?? password()],
    parameters: pack([sized(1024), Buffer.from(data)], [u16, options.offset ?? 0]),
    read: nothing,
  });
}

/** TPM2_NV_Increment, Part 3, 31.8. */
export async function nvIncrement(
  tpm: CommandQueue,
  index: Entity,
  options: { authHandle: Entity; auth?: Authorization },
): Promise<void> {
  await execute(tpm, {
    command: 'NV_Increment',
    deadline: 'nv',
    handles: [options.authHandle, index],
    auths: [options.auth ?? password()],
    read: nothing,
  });
}

/** TPM2_NV_Extend, Part 3, 31.9: value' = H(value ‖ data). */
export async function nvExtend(
  tpm: CommandQueue,
  index: Entity,
  data: Uint8Array,
  options: { authHandle: Entity; auth?: Authorization },
): Promise<void> {
  await execute(tpm, {
    command: 'NV_Extend',
    deadline: 'nv',
    handles: [options.authHandle, index],
    auths: [options.auth ?? password()],
    parameters: pack([sized(1024), Buffer.from(data)]),
    read: nothing,
  });
}
