// STATE/break-glass.sock: where somebody at the device asks to go on with a model while the controller's word does not count.
import { join } from 'node:path';
import { name, text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { TouchstoneError } from '../errors.ts';
import type { Profile } from '../profile/profile.ts';
import { AskSocket } from './ask-socket.ts';
import type { Attester } from './attester.ts';
import { MAX_REASON } from './glass.ts';
import { inTurn } from './mailbox.ts';

/** Name of the socket in the state directory. */
export const GLASS_SOCKET = 'break-glass.sock';

export interface GlassAsk {
  readonly v: 1;
  readonly do: 'break-glass';
  readonly slot: string;
  readonly reason: string;
}

const glassAskShape: Shape<GlassAsk> = v.strictObject({
  v: v.literal(1),
  do: v.literal('break-glass'),
  slot: name,
  reason: text(MAX_REASON),
});

export interface GlassSocketParts {
  readonly stateDir: string;
  readonly profile: Profile;
  readonly attester: Pick<Attester, 'breakGlass'>;
  /** Has `work` done when nothing else is being done. */
  readonly soon: (work: () => Promise<void>) => void;
  /** Hears what no asker can do anything about. */
  readonly broken: (error: unknown) => void;
}

/** Listens, for the profile's group too. Errors: ConfigError when the socket cannot be given to that group. */
export async function openGlassSocket(parts: GlassSocketParts): Promise<AsyncDisposable> {
  const { stateDir, profile, attester, soon, broken } = parts;
  return AskSocket.open({
    path: join(stateDir, GLASS_SOCKET),
    gid: profile.breakGlassGid ?? null,
    shape: glassAskShape,
    broken,
    serve: async ({ slot, reason }: GlassAsk) => {
      if (!profile.slots.some((one) => one.name === slot)) {
        const names = profile.slots.map((one) => one.name).join(', ');
        throw new TouchstoneError('USAGE', `this device has no slot ${slot}; it has: ${names}`);
      }
      return inTurn(soon, async () => attester.breakGlass(slot, reason));
    },
  });
}
