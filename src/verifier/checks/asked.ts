// Checks of the challenge: is this an answer to a question of ours that is still open? What fails here is never a verdict.
import { shortHex, toHex } from '../../bytes/text.ts';
import { isSealedBy } from '../../protocol/challenge.ts';
import type { Asked, Check } from '../contexts.ts';
import { isHexOf, sameBytes } from '../same-bytes.ts';

export const askedChecks: readonly Check<Asked>[] = [
  {
    name: 'challenge-mac',
    run: ({ input, message, challenge }, findings) => {
      if (isSealedBy(message.challenge, challenge.kid, input.policy.challengeKeys)) return;
      const known = input.policy.challengeKeys.has(challenge.kid);
      const found = known ? `a MAC that key ${challenge.kid} did not make` : `the unknown key ${challenge.kid}`;
      findings.add('challenge-mac', 'none', 'device', 'a MAC by a challenge key of this controller', found, 'fleet');
    },
  },
  {
    name: 'challenge-fleet',
    run: ({ input, challenge }, findings) => {
      const expected = input.endorsement.endorsement.fleetId;
      if (isHexOf(expected, challenge.fleetId)) return;
      findings.add('challenge-fleet', 'none', 'device', expected, toHex(challenge.fleetId), 'endorsement');
    },
  },
  {
    name: 'challenge-device',
    run: ({ input, challenge }, findings) => {
      const expected = input.endorsement.endorsement.deviceId;
      if (challenge.deviceId === expected) return;
      findings.add('challenge-device', 'none', 'device', expected, challenge.deviceId, 'endorsement');
    },
  },
  {
    name: 'late',
    run: ({ input, challenge }, findings) => {
      const age = input.now - challenge.issuedAt;
      // Sealed with it, so the controller's own word.
      const oldest = challenge.validFor ?? input.policy.maxAgeMs;
      if (age <= oldest) return;
      findings.add('late', 'none', 'device', `at most ${oldest} ms old`, `${age} ms old`, 'challenge');
    },
  },
  {
    name: 'controller-clock',
    run: ({ input, challenge }, findings) => {
      const ahead = challenge.issuedAt - input.now;
      if (ahead <= input.policy.maxSkewMs) return;
      const expected = `issued at most ${input.policy.maxSkewMs} ms ahead of this controller`;
      findings.add('controller-clock', 'none', 'device', expected, `${ahead} ms ahead`, 'challenge');
    },
  },
  {
    name: 'superseded',
    run: ({ input, challenge }, findings) => {
      if (challenge.generation === input.row.generation) return;
      const expected = `generation ${input.row.generation}`;
      findings.add('superseded', 'none', 'device', expected, `generation ${challenge.generation}`, 'challenge');
    },
  },
  {
    name: 'policy',
    run: ({ input, challenge }, findings) => {
      if (sameBytes(challenge.policyDigest, input.policy.digest)) return;
      const expected = `policy ${shortHex(input.policy.digest)}`;
      findings.add('superseded', 'none', 'device', expected, `policy ${shortHex(challenge.policyDigest)}`, 'challenge');
    },
  },
];
