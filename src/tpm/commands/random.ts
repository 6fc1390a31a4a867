// TPM2_GetRandom.
import { sized, u16 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import type { Authorization } from './authorization.ts';
import { execute, pack } from './execute.ts';

/** `count` random bytes. A TPM gives at most one digest a command, so this loops; `auth` makes a session of each command. */
export async function getRandom(tpm: CommandQueue, count: number, auth?: () => Authorization): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let left = count; left > 0;) {
    const part = await execute(tpm, {
      command: 'GetRandom',
      ...(auth === undefined ? {} : { auths: [auth()] }),
      parameters: pack([u16, Math.min(left, 64)]),
      read: (from) => {
        const bytes = sized(64).read(from);
        if (bytes.length === 0 || bytes.length > left)
          from.fail('WIRE_RANGE', `${bytes.length} bytes, asked for ${left}`);
        return bytes;
      },
    });
    parts.push(part);
    left -= part.length;
  }
  return Buffer.concat(parts);
}
