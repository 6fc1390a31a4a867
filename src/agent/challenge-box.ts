// Holds the newest challenge: what a broker kept, doubled or sent in a flood costs one quote, not many.
import { WireError } from '../errors.ts';
import { readChallenge } from '../protocol/challenge.ts';
import type { Challenge } from '../protocol/messages.ts';

export interface HeldChallenge {
  readonly challenge: Challenge;
  /** Its exact bytes, MAC included. */
  readonly sealed: Buffer;
}

export interface ChallengeFor {
  readonly fleetId: Uint8Array;
  readonly deviceId: string;
  readonly eventPcr: number;
}

/** What a sealed challenge asks of this device; null when it is for another, asks for what is not quoted here, or is none. */
export function readOwnChallenge(sealed: Uint8Array, { fleetId, deviceId, eventPcr }: ChallengeFor): Challenge | null {
  try {
    const challenge = readChallenge(sealed);
    const ours = Buffer.from(challenge.fleetId).equals(fleetId) && challenge.deviceId === deviceId;
    return ours && challenge.bank === 'sha256' && challenge.pcrs.includes(eventPcr) ? challenge : null;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

export class ChallengeBox {
  readonly #owner: ChallengeFor;
  #held: HeldChallenge | null = null;

  constructor(owner: ChallengeFor) {
    this.#owner = owner;
  }

  /** Keeps `sealed` if it is for this device and newer than the one held. The MAC can't be checked here: only its maker can. */
  offer(sealed: Buffer): boolean {
    const challenge = readOwnChallenge(sealed, this.#owner);
    if (challenge === null) return false;
    const held = this.#held?.challenge;
    const older =
      held !== undefined &&
      (challenge.generation < held.generation ||
        (challenge.generation === held.generation && challenge.issuedAt <= held.issuedAt));
    if (older) return false;
    const first = this.#held === null;
    this.#held = { challenge, sealed };
    // Someone already waits to answer whatever is held when his turn comes.
    return first;
  }

  /** The challenge to answer now; the box is empty afterwards. */
  take(): HeldChallenge | null {
    const held = this.#held;
    this.#held = null;
    return held;
  }
}
