// A record of an acceptance, read by somebody else: the same verdict byte for byte, or a rule's name for what is wrong with the file.
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/bytes/text.ts';
import { encode } from '../../src/bytes/wire.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { signStatement } from '../../src/protocol/statement.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { signingKeyPublic } from '../../src/tpm/wire/signing-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { judgeRecord, makeRecord } from '../../src/verifier/record.ts';
import type { JudgedRecord } from '../../src/verifier/record.ts';
import { decodeAcceptance, encodeAcceptance, inputOf, recordOf } from '../../src/verifier/record-shape.ts';
import { resultOf, verdictOf } from '../../src/verifier/result.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { fleetFile as publisherFleet, jsonBytes, named, rootKeys, rootStatement } from '../release/publisher.ts';
import { akPublic } from './attest-builder.ts';
import { laterRow, withReference } from './attack.ts';
import { contentAttacks } from './content-attacks.ts';
import { build, endorsement as builtEndorsement, fleetId as fleetBytes, NOW } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

const fleetId = toHex(fleetBytes);
const fleetFile = jsonBytes({ ...publisherFleet, fleetId });
const resultKey = generateKey('p256').privateKey;
const stranger = generateKey('p256').privateKey;
const rootOf = (key = resultKey, changes: Partial<typeof rootStatement> = {}): DsseEnvelope =>
  signRoot({ ...rootStatement, fleetId, version: 1, results: [named(key)], ...changes }, rootKeys.slice(0, 2));
const endorsement = {
  ...builtEndorsement.endorsement,
  akPublic: toHex(encode(TpmtPublic, signingKeyPublic(akPublic))),
};

interface Choices {
  readonly bend?: Bend;
  readonly aside?: boolean;
  readonly key?: typeof resultKey;
  readonly root?: readonly DsseEnvelope[];
  readonly recorded?: (input: AppraisalInput) => AppraisalInput;
  readonly endorsed?: Partial<typeof endorsement>;
  readonly lease?: number;
}

/** The file as a controller makes it, and what it signed; each part may be another. */
function record(choices: Choices = {}): { file: Buffer; result: string } {
  const {
    bend,
    aside = false,
    key = resultKey,
    root = [rootOf()],
    recorded = (input) => input,
    endorsed,
    lease,
  } = choices;
  const input = build(bend);
  const appraisal = appraise(input);
  const verdict = verdictOf(appraisal, aside, lease ?? input.policy.leaseForMs);
  const result = signStatement(
    'result',
    resultOf(appraisal, verdict, { fleetId, deviceId: endorsement.deviceId, now: NOW }),
    key,
  );
  const said = signStatement(
    'endorsement',
    { ...input.endorsement.endorsement, akPublic: endorsement.akPublic, ...endorsed },
    key,
  );
  return { file: makeRecord({ input: recorded(input), fleetId, aside, endorsement: said, result, root }, key), result };
}

const rulesOf = ({ findings }: JudgedRecord): string[] => findings.map(({ rule }) => rule);
const judge = (choices: Choices = {}, newerRoot: Buffer | null = null): JudgedRecord =>
  judgeRecord(record(choices).file, fleetFile, newerRoot);

describe('gives the verdict that was signed', () => {
  test('for good evidence', () => {
    const judged = judge();
    expect(judged.findings).toEqual([]);
    expect(judged.result).toMatchObject({ status: 'affirming', assurance: 'A2' });
    expect(judged.appraisal?.status).toBe('affirming');
  });

  test('for a device that an operator set aside', () => {
    const judged = judge({ aside: true });
    expect(judged.findings).toEqual([]);
    expect(judged.result).toMatchObject({ status: 'contraindicated', leaseForMs: 0 });
  });

  test.each(
    contentAttacks
      .filter(({ bend }) => appraise(build(bend())).accepted)
      .map((attack) => [attack.attack, attack] as const),
  )('for %s', (_, { bend }) => {
    const judged = judge({ bend: bend() });
    expect(judged.findings).toEqual([]);
    expect(judged.result?.status).toBe(appraise(build(bend())).status);
  });

  test('years later, when the root statement is past its end', () => {
    expect(judge({ root: [rootOf(resultKey, { issuedAt: 1, expires: 2 })] }).findings).toEqual([]);
  });
});

/** Bytes, maps and sets in a form that can be compared whatever class they are of. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return [...value].map(plain);
  if (value instanceof Set) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}

test('what is recorded comes back as it was, but for the endorsement and the keys of challenges', () => {
  const { endorsement: _, policy, ...rest } = build({ row: laterRow() });
  const { policy: back, ...others } = inputOf(
    decodeAcceptance(encodeAcceptance(recordOf({ ...rest, policy, endorsement: builtEndorsement }, fleetId, false))),
  );
  expect(plain(others)).toEqual(plain(rest));
  expect(plain({ ...back, challengeKeys: [] })).toEqual(plain({ ...policy, challengeKeys: [] }));
  expect(back.challengeKeys.size).toBe(0);
});

describe('is worth nothing', () => {
  test.each<[string, string, Choices]>([
    ['when another key signed all of it', 'record-signature', { key: stranger }],
    [
      'when its root is another fleet’s',
      'record-signature',
      {
        key: stranger,
        root: [signRoot({ ...rootStatement, fleetId, version: 1, results: [named(stranger)] }, [stranger])],
      },
    ],
    [
      'when the endorsement is another device’s',
      'record-subject',
      { endorsed: { deviceId: 'zyxwvutsrqponmlkjihgfedcba765432' } },
    ],
    ['when the controller signed another lease', 'record-verdict', { lease: 3_600_000 }],
    [
      'when its evidence was never to be accepted, whatever the controller signed',
      'record-verdict',
      { bend: { attest: (fields) => ({ ...fields, extraData: fields.qualifiedSigner.subarray(2) }) } },
    ],
    [
      'when the reference values are not those that it was judged by',
      'record-verdict',
      { recorded: (input) => withReference({ components: null })(input) },
    ],
    [
      'when it was judged at another time',
      'record-verdict',
      { recorded: (input) => ({ ...input, now: input.now + 3_600_000 }) },
    ],
  ])('%s', (_, rule, choices) => {
    expect(rulesOf(judge(choices))).toEqual([rule]);
  });

  test('when the result of other evidence is put in', () => {
    const file = JSON.parse(record().file.toString()) as Record<string, unknown>;
    const other = record({ bend: contentAttacks[0]?.bend() ?? {} }).result;
    const judged = judgeRecord(jsonBytes({ ...file, result: JSON.parse(other) as unknown }), fleetFile);
    expect(rulesOf(judged)).toEqual(['record-verdict']);
  });

  test('by a root that has revoked the key since', () => {
    const revoked = rootOf(resultKey, {
      version: 2,
      revoked: [{ id: named(resultKey).id, reason: 'stolen', at: NOW }],
    });
    const newer = encodeRootFile([rootOf(), revoked]);
    expect(rulesOf(judge({}, newer))).toEqual(['record-signature']);
  });

  test('when a byte of it is another, wherever it is', () => {
    const { file } = record();
    for (let at = 0; at < file.length; at += 97) {
      const bent = Buffer.from(file);
      bent[at] = (bent[at] ?? 0) ^ 1;
      const judged = judgeRecord(bent, fleetFile);
      // Only the hint of who signed may be another: nothing believes it.
      const isHint = file.subarray(Math.max(0, at - 80), at).includes('"keyid":"');
      expect([at, rulesOf(judged).length > 0 || isHint]).toEqual([at, true]);
    }
  });

  test.each(['', '{}', '[]', '{"v":1}', '\u0000'])('when it is %j', (text) => {
    expect(rulesOf(judgeRecord(Buffer.from(text), fleetFile))).toEqual(['record-malformed']);
  });
});

test('a fleet.json that is none is the reader’s mistake, and no judgement', () => {
  expect(() => judgeRecord(record().file, Buffer.from('{}'))).toThrow(/fleet.json/);
});
