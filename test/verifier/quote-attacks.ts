// Attacks on what makes evidence believable: the challenge, the signature, the quote, the log.
import { createSecretKey, generateKeyPairSync, sign } from 'node:crypto';
import { withProfile, withClaims, withReference, laterRow } from './attack.ts';
import type { Attack } from './attack.ts';
import { signAttest } from './attest-builder.ts';
import { bootPcrs, digestOf, endorsement, reference, slotEvent } from './evidence-builder.ts';

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
const rsaSignature = (attest: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, 0x14, 0, 0x0b, 0, 128]), sign('sha256', attest, weak.privateKey)]);

export const quoteAttacks: readonly Attack[] = [
  {
    attack: 'a challenge that the attacker made himself',
    check: 'challenge-mac',
    rule: 'challenge-mac',
    bend: () => ({ sealWith: createSecretKey(digestOf('attacker')) }),
  },
  {
    attack: 'evidence of another fleet',
    check: 'challenge-fleet',
    rule: 'challenge-fleet',
    bend: () => {
      const fleetId = digestOf('other fleet').subarray(0, 16);
      return { challenge: (c) => ({ ...c, fleetId }), claims: withClaims({ fleetId }) };
    },
  },
  {
    attack: 'evidence relayed for another device’s challenge',
    check: 'challenge-device',
    rule: 'challenge-device',
    bend: () => ({ challenge: (c) => ({ ...c, deviceId: 'b'.repeat(32) }) }),
  },
  {
    attack: 'evidence held back by the broker',
    check: 'late',
    rule: 'late',
    bend: () => ({ input: (input) => ({ ...input, now: input.now + 60_000 }) }),
  },
  {
    attack: 'a challenge from a controller whose clock is ahead',
    check: 'controller-clock',
    rule: 'controller-clock',
    bend: () => ({ input: (input) => ({ ...input, now: input.now - 60_000 }) }),
  },
  {
    attack: 'evidence replayed after it was accepted',
    check: 'superseded',
    rule: 'superseded',
    bend: () => ({ input: (input) => ({ ...input, row: { ...input.row, generation: input.row.generation + 1 } }) }),
  },
  {
    attack: 'an answer to a question under an older policy',
    check: 'policy',
    rule: 'superseded',
    bend: () => ({ challenge: (c) => ({ ...c, policyDigest: digestOf('old policy') }) }),
  },
  {
    attack: 'a quote by a weak key',
    check: 'algorithm-strength',
    rule: 'algorithm-strength',
    bend: () => ({
      signature: rsaSignature,
      input: (input) => ({ ...input, endorsement: { ...endorsement, akKey: weak.publicKey } }),
    }),
  },
  {
    attack: 'a quote by another TPM',
    check: 'quote-signature',
    rule: 'quote-signature',
    bend: () => ({ signature: (attest) => signAttest(attest, other.privateKey) }),
  },
  {
    attack: 'signed bytes that no TPM generated',
    check: 'quote-magic',
    rule: 'quote-magic',
    bend: () => ({ attest: (a) => ({ ...a, magic: 0xff544348 }) }),
  },
  {
    attack: 'another kind of attestation in place of a quote',
    check: 'quote-type',
    rule: 'quote-type',
    bend: () => ({ attest: (a) => ({ ...a, type: 0x8017 }) }),
  },
  {
    attack: 'the same key in another hierarchy',
    check: 'qualified-name',
    rule: 'qualified-name',
    bend: () => ({
      attest: (a) => ({ ...a, qualifiedSigner: Buffer.concat([Buffer.from([0, 11]), digestOf('owner')]) }),
    }),
  },
  {
    attack: 'a quote over other claims',
    check: 'qualifying-data',
    rule: 'qualifying-data',
    bend: () => ({ attest: (a) => ({ ...a, extraData: digestOf('other claims') }) }),
  },
  {
    attack: 'claims in another device’s name',
    check: 'claims-device',
    rule: 'claims-device',
    bend: () => ({ claims: withClaims({ deviceId: 'c'.repeat(32) }) }),
  },
  {
    attack: 'a quote over another bank',
    check: 'pcr-bank',
    rule: 'pcr-bank',
    bend: () => ({ attest: (a) => ({ ...a, banks: [{ alg: 0x0004, pcrs: [0, 7, 15] }] }) }),
  },
  {
    attack: 'a second bank beside the one that was asked for, with nothing selected',
    check: 'pcr-bank',
    rule: 'pcr-bank',
    bend: () => ({
      attest: (a) => ({
        ...a,
        banks: [
          { alg: 0x000b, pcrs: [0, 7, 15] },
          { alg: 0x0004, pcrs: [] },
        ],
      }),
    }),
  },
  {
    attack: 'a quote that leaves out the last PCR that was asked for',
    check: 'pcr-selection',
    rule: 'pcr-selection',
    bend: () => ({ attest: (a) => ({ ...a, banks: [{ alg: 0x000b, pcrs: [0, 7] }] }) }),
  },
  {
    attack: 'good values extended into a PCR that was not asked for',
    check: 'pcr-selection',
    rule: 'pcr-selection',
    bend: () => ({ attest: (a) => ({ ...a, banks: [{ alg: 0x000b, pcrs: [0, 7, 14] }] }) }),
  },
  {
    attack: 'a log that no quoted PCR holds',
    check: 'event-pcr-quoted',
    rule: 'pcr-selection',
    bend: () => ({
      challenge: (c) => ({ ...c, pcrs: [0, 7] }),
      pcrValues: (values) => values.slice(0, 2),
    }),
  },
  {
    attack: 'a log that no quoted PCR holds, with as many values as would fit one that does',
    check: 'event-pcr-quoted',
    rule: 'pcr-selection',
    bend: () => ({
      challenge: (c) => ({ ...c, pcrs: [0, 7] }),
      claims: withClaims({ bootPcrs: bootPcrs.slice(0, 1) }),
      pcrValues: (values) => values.slice(0, 1),
      input: withReference({ bootPcrs: new Map([...reference.bootPcrs].slice(0, 1)) }),
    }),
  },
  {
    attack: 'the value of a PCR more than was quoted',
    check: 'event-pcr-quoted',
    rule: 'pcr-selection',
    bend: () => ({ claims: withClaims({ bootPcrs: [...bootPcrs, digestOf('pcr 9')] }) }),
  },
  {
    attack: 'events in a PCR that any process may reset',
    check: 'pcr-resettable',
    rule: 'pcr-resettable',
    bend: () => ({
      eventPcr: 16,
      records: (records) => records.map((record) => ({ ...record, pcr: 16 })),
      input: withProfile({ eventPcr: 16 }),
    }),
  },
  {
    attack: 'the tail of an old epoch’s log after a reset, its digests extended again by hand',
    check: 'log-start',
    rule: 'log-start',
    bend: () => {
      const row = laterRow();
      return {
        row,
        firstRecord: 4,
        startPcr: row.log?.pcr ?? Buffer.alloc(32),
        events: [{ ...slotEvent, cause: 'restored' }],
        attest: (a) => ({ ...a, resetCount: 5 }),
        claims: withClaims({ epoch: { resetCount: 5, restartCount: 0 } }),
      };
    },
  },
  {
    attack: 'a log with a gap in its numbers',
    check: 'log-consecutive',
    rule: 'log-consecutive',
    bend: () => ({ records: (records) => records.map((r, i) => (i === 2 ? { ...r, recnum: 4 } : r)) }),
  },
  {
    attack: 'records of another PCR',
    check: 'log-pcr',
    rule: 'log-pcr',
    bend: () => ({ records: (records) => records.map((r, i) => (i === 2 ? { ...r, pcr: 14 } : r)) }),
  },
  {
    attack: 'good content under the digest of bad content',
    check: 'log-digest',
    rule: 'log-digest',
    bend: () => ({
      records: (records) => records.map((r, i) => (i === 2 ? { ...r, digest: digestOf('bad content') } : r)),
    }),
  },
  {
    attack: 'a good log beside other PCR values',
    check: 'log-replay',
    rule: 'log-replay',
    bend: () => ({ pcrValues: () => [...bootPcrs, digestOf('other PCR')] }),
  },
  {
    attack: 'claims about another epoch',
    check: 'claims-epoch',
    rule: 'claims-epoch',
    bend: () => ({ claims: withClaims({ epoch: { resetCount: 3, restartCount: 0 } }) }),
  },
];
