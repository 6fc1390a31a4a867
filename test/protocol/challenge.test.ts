// The sealed challenge: only a key of ours, over exactly these bytes, makes it a question of ours.
import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isSealedBy, openChallenge, readChallenge, sealChallenge } from '../../src/protocol/challenge.ts';
import type { Challenge } from '../../src/protocol/messages.ts';
import { outcomeOf } from '../support/wire-outcome.ts';
import { cborVector } from '../vectors/vectors.ts';

const key = createSecretKey(Buffer.alloc(32, 1));
const other = createSecretKey(Buffer.alloc(32, 2));
const challenge = cborVector('challenge').value as Challenge;
const sealed = sealChallenge(challenge, key);
const keys = new Map([[challenge.kid, key]]);

describe('a challenge', () => {
  test('opens with the key that sealed it', () => {
    expect(openChallenge(sealed, keys)).toEqual(challenge);
    expect(isSealedBy(sealed, challenge.kid, keys)).toBe(true);
  });

  test('does not open with another key of the same name', () => {
    expect(openChallenge(sealed, new Map([[challenge.kid, other]]))).toBeNull();
  });

  test('does not open when its key is not ours, or no longer', () => {
    expect(openChallenge(sealed, new Map([['k2', key]]))).toBeNull();
  });

  test('with any bit changed does not open', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(outcomeOf(() => openChallenge(changed, keys)).value ?? null).toBeNull();
    }
  });

  test('can be read without the key, by the device', () => {
    expect(readChallenge(sealed)).toEqual(challenge);
  });

  test('that asks for no PCR is no challenge', () => {
    const hex = sealed.toString('hex').replace('647063727383', '647063727380');
    expect(outcomeOf(() => readChallenge(Buffer.from(hex.replace('00070f', ''), 'hex')))).toEqual({ refused: true });
    expect(() => sealChallenge({ ...challenge, pcrs: [] }, key)).toThrow(TypeError);
  });

  test('of the same moment is another for another device, another generation and other random bytes', () => {
    const variants = [challenge, { ...challenge, deviceId: 'b' }, { ...challenge, generation: 4 }];
    const all = [...variants, { ...challenge, nonce: Buffer.alloc(16) }].map((one) =>
      sealChallenge(one, key).toString('hex'),
    );
    expect(new Set(all).size).toBe(4);
  });
});
