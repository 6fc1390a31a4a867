// C4, old answers: each challenge counts once, for one device, one fleet, one policy, in time, and has one encoding.
import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { hmacSha256 } from '../../src/crypto/digest.ts';
import { sealChallenge } from '../../src/protocol/challenge.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, RowState } from '../../src/verifier/types.ts';
import { build, challengeKey, digestOf, freshRow, NOW, policy } from '../verifier/evidence-builder.ts';
import { cborVector } from '../vectors/vectors.ts';
import type { Challenge } from '../../src/protocol/messages.ts';

const found = (input: AppraisalInput): readonly string[] => appraise(input).findings.map(({ rule }) => rule);
const genuine = build();

describe('evidence that was accepted', () => {
  const row = appraise(genuine).next as RowState;

  test('is superseded the second time, by any controller that reads the same row', () => {
    expect(found({ ...genuine, row })).toEqual(['superseded']);
    expect(appraise({ ...genuine, row })).toMatchObject({
      accepted: false,
      authentic: false,
      status: 'none',
      next: null,
    });
  });

  test('is superseded for ever, whatever else was accepted since', () => {
    for (let generation = row.generation; generation < row.generation + 50; generation++) {
      expect(found({ ...genuine, row: { ...row, generation } })).toEqual(['superseded']);
    }
  });

  test('supersedes older evidence that was held back', () => {
    const later = build({ row: { ...freshRow, generation: 4 } });
    expect(found({ ...later, row: { ...freshRow, generation: 5 } })).toEqual(['superseded']);
  });

  test('is superseded by a change of the policy', () => {
    expect(found({ ...genuine, policy: { ...policy, digest: digestOf('stricter') } })).toEqual(['superseded']);
  });

  test('after a restore of the controller’s database, whose challenge key changed, answers nobody', () => {
    const keys = new Map([['k2', createSecretKey(digestOf('new key'))]]);
    expect(found({ ...genuine, policy: { ...policy, challengeKeys: keys } })).toEqual(['challenge-mac']);
  });
});

describe('the age of a challenge', () => {
  const at = (now: number): readonly string[] => found({ ...genuine, now });
  const issued = NOW - 1000;

  test('counts up to the greatest age and no ms further', () => {
    expect(at(issued + policy.maxAgeMs)).toEqual([]);
    expect(at(issued + policy.maxAgeMs + 1)).toEqual(['late']);
  });

  test('counts up to the greatest skew ahead and no ms further', () => {
    expect(at(issued - policy.maxSkewMs)).toEqual([]);
    expect(at(issued - policy.maxSkewMs - 1)).toEqual(['controller-clock']);
  });

  test('is never a verdict about the device', () => {
    for (const now of [issued + policy.maxAgeMs + 1, issued - policy.maxSkewMs - 1, 0, Number.MAX_SAFE_INTEGER]) {
      expect(appraise({ ...genuine, now })).toMatchObject({
        accepted: false,
        authentic: false,
        status: 'none',
        next: null,
      });
    }
  });
});

describe('a challenge that travels in a bundle', () => {
  const life = 30 * 86_400_000;
  const carried = build({ challenge: (challenge) => ({ ...challenge, validFor: life }) });
  const issued = NOW - 1000;

  test('counts for as long as was sealed with it and no ms further', () => {
    expect(found({ ...carried, now: issued + life })).toEqual([]);
    expect(found({ ...carried, now: issued + life + 1 })).toEqual(['late']);
  });

  test('counts once like any other, and not when newer evidence was accepted meanwhile', () => {
    const { next } = appraise({ ...carried, now: issued + life });
    expect(found({ ...carried, now: issued + life, row: next ?? freshRow })).toEqual(['superseded']);
    expect(found({ ...carried, row: { ...freshRow, generation: freshRow.generation + 1 } })).toEqual(['superseded']);
  });

  test('cannot be given a longer life by who carries it, nor can a usual one be made to travel', () => {
    const longer = (challenge: Challenge): Challenge => ({ ...challenge, validFor: 2 * life });
    const strange = createSecretKey(digestOf('not ours'));
    const row = freshRow;
    const forged = build({ row, challenge: longer, sealWith: strange });
    expect(found({ ...forged, now: issued + 2 * life })).toEqual(['challenge-mac']);
    // The MAC of the true one over another life.
    const sealed = sealChallenge(cborVector('challenge-in-a-bundle').value as Challenge, challengeKey);
    const hex = sealed.toString('hex').replace('6876616c6964466f721a9a7ec800', '6876616c6964466f721b000000075cd78800');
    expect(hex.length).toBeGreaterThan(sealed.length * 2);
    const bent = build({ message: (message) => ({ ...message, challenge: Buffer.from(hex, 'hex') }) });
    expect(found(bent)).toContain('challenge-mac');
  });
});

describe('a challenge', () => {
  const value = cborVector('challenge').value as Challenge;
  const withSealed = (challenge: Uint8Array): AppraisalInput =>
    build({ message: (message) => ({ ...message, challenge }) });

  /** Truly sealed by the controller's key: would a slip in our own encoder be believed? */
  const sealedBytes = (body: Buffer): Buffer => Buffer.concat([body, hmacSha256(challengeKey, body)]);

  test('in a second encoding of the same values is no challenge, even with a valid MAC', () => {
    const body = encodeCbor(value as unknown as CborValue);
    const hex = body.toString('hex');
    const longer = Buffer.from(hex.replace('617601', '61761801'), 'hex');
    const indefinite = Buffer.from(`bf${hex.slice(2)}ff`, 'hex');
    const floating = Buffer.from(hex.replace('617601', '6176f93c00'), 'hex');
    for (const other of [longer, indefinite, floating]) {
      expect(found(withSealed(sealedBytes(other)))).toEqual(['evidence-malformed']);
    }
    // The same bytes in their one form are read, and then found to be bound to nothing.
    expect(found(withSealed(sealedBytes(body)))).not.toContain('evidence-malformed');
  });

  test('with a nonce of another length is no challenge', () => {
    expect(() => sealChallenge({ ...value, nonce: Buffer.alloc(15) }, challengeKey)).toThrow(TypeError);
    const body = encodeCbor({ ...(value as unknown as Record<string, CborValue>), nonce: Buffer.alloc(0) });
    expect(found(withSealed(sealedBytes(body)))).toEqual(['evidence-malformed']);
  });

  test('by another key under a known name, or under the name of no key, is not ours', () => {
    const other = createSecretKey(digestOf('other'));
    expect(found(build({ sealWith: other }))).toEqual(['challenge-mac']);
    expect(found(build({ challenge: (c) => ({ ...c, kid: 'k2' }) }))).toEqual(['challenge-mac']);
  });

  test('cannot be taken from one evidence into another', () => {
    const other = build({ challenge: (c) => ({ ...c, nonce: digestOf('other').subarray(0, 16) }) });
    expect(found(other)).toEqual([]);
    const { challenge } = ((): { challenge: Uint8Array } => {
      let kept: Uint8Array = new Uint8Array();
      build({
        challenge: (c) => ({ ...c, nonce: digestOf('other').subarray(0, 16) }),
        message: (message) => ((kept = message['challenge'] as Uint8Array), message),
      });
      return { challenge: kept };
    })();
    expect(found(withSealed(challenge))).toEqual(['qualifying-data']);
  });
});
