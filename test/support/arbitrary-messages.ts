// Random messages of every kind that has a quick reader: usual ones, and ones at the edge of their shapes.
import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { EPOCH_CHANGES } from '../../src/cel/events.ts';
import type { Components, LogEvent } from '../../src/cel/events.ts';
import type { Claims, Report, SlotClaim } from '../../src/evidence/claims.ts';
import { MAX_VALID_FOR_MS } from '../../src/protocol/messages.ts';
import type { Challenge, EvidenceMessage } from '../../src/protocol/messages.ts';

const bytes = (length: number): Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const some = (max: number): Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });
const digest = bytes(32);
const number = fc.oneof(
  fc.integer({ min: 0, max: 30 }),
  fc.maxSafeNat(),
  fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER),
);
const count = fc.constantFrom(0, 1, 24, 256, 65_536, 0xffffffff);
/** Mostly ASCII, sometimes not: what the quick readers leave to the general way. */
function words(max: number): Arbitrary<string> {
  const ascii = fc.string({ minLength: 1, maxLength: Math.min(max, 40), unit: 'grapheme-ascii' });
  const any = fc
    .string({ minLength: 1, maxLength: 8, unit: 'grapheme' })
    .filter((text) => text.length <= max && /^[^\p{Cc}\p{Cs}]+$/u.test(text));
  return fc.oneof({ weight: 24, arbitrary: ascii }, { weight: 1, arbitrary: any });
}
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const orNull = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
const one = fc.constant(1 as const);
const crit = fc.array(fc.constantFrom('epoch', 'deviceId', 'tomorrow'), { maxLength: 2 });
const plain = { noNullPrototype: true } as const;

/** Sometimes with critical fields, known and unknown. */
function withCrit<T extends object>(arbitrary: Arbitrary<T>): Arbitrary<T> {
  const listed = fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: crit });
  return fc
    .tuple(arbitrary, listed)
    .map(([message, names]) => (names === null ? message : { ...message, crit: names }));
}

const epoch = fc.record({ resetCount: count, restartCount: count }, plain);

export const arbitraryChallenge: Arbitrary<Challenge> = withCrit(
  fc
    .record(
      {
        v: one,
        fleetId: bytes(16),
        deviceId: words(64),
        issuedAt: number,
        nonce: bytes(16),
        generation: number,
        bank: fc.constantFrom('sha256' as const, 'sha384' as const),
        pcrs: fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 24 }),
        epoch: orNull(epoch),
        afterSeq: number,
        policyDigest: digest,
        kid: words(64),
      },
      plain,
    )
    // Only those that travel in a bundle say how long they are good for.
    .chain((usual) =>
      fc
        .constantFrom({}, {}, {}, { validFor: 0 }, { validFor: MAX_VALID_FOR_MS })
        .map((life) => ({ ...usual, ...life })),
    ),
);

const slot: Arbitrary<SlotClaim> = fc.record(
  {
    slot: name,
    state: fc.constantFrom('empty' as const, 'active' as const, 'altered' as const, 'stopped' as const),
    release: orNull(digest),
    version: orNull(words(128)),
    securityVersion: orNull(number),
    trial: fc.constantFrom('health' as const, 'result' as const, 'floor' as const),
  },
  { ...plain, requiredKeys: ['slot', 'state', 'release', 'version', 'securityVersion'] },
);
const report: Arbitrary<Report> = fc.record(
  {
    session: bytes(16),
    n: number,
    kind: fc.constantFrom<Report['kind']>(
      'refused',
      'command',
      'activated',
      'rolled-back',
      'interrupted',
      'tpm',
      'journal',
    ),
    rule: words(128),
    slot: orNull(name),
    subject: orNull(words(512)),
    detail: words(2048),
    at: number,
  },
  plain,
);

const CLAIMS_ALWAYS: Exclude<
  keyof Claims,
  | 'crit'
  | 'tlsCsr'
  | 'rootVersion'
  | 'tpmLife'
  | 'floors'
  | 'floorCertificate'
  | 'floorGeneration'
  | 'breakGlass'
  | 'escrow'
>[] = [
  'v',
  'fleetId',
  'deviceId',
  'session',
  'agentVersion',
  'profile',
  'profileDigest',
  'epoch',
  'logFrom',
  'logTo',
  'lastSeq',
  'slots',
  'reports',
  'bootPcrs',
  'now',
  'measuredAgo',
];

const settledClaims: Arbitrary<Claims> = withCrit(
  fc.record(
    {
      v: one,
      fleetId: bytes(16),
      deviceId: words(64),
      session: bytes(16),
      agentVersion: words(64),
      profile: name,
      profileDigest: digest,
      epoch,
      logFrom: number,
      logTo: number,
      lastSeq: number,
      slots: fc.array(slot, { maxLength: 3 }),
      reports: fc.array(report, { maxLength: 3 }),
      bootPcrs: fc.array(digest, { maxLength: 3 }),
      now: number,
      measuredAgo: number,
      rootVersion: number,
      tpmLife: digest,
      floors: fc.array(fc.record({ slot: name, floor: orNull(number) }, plain), { maxLength: 3 }),
      floorGeneration: number,
      floorCertificate: fc.record({ attest: some(60), signature: some(60) }, plain),
    },
    { ...plain, requiredKeys: CLAIMS_ALWAYS },
  ),
);

/** Few devices at a time ask for a new broker certificate, and many say nothing of floors. */
export const arbitraryClaims: Arbitrary<Claims> = fc
  .tuple(settledClaims, fc.integer({ min: 0, max: 7 }), some(60))
  .map(([claims, n, tlsCsr]) => {
    if (n === 0) return { ...claims, tlsCsr };
    const { floors: _floors, floorCertificate: _certificate, floorGeneration: _generation, ...without } = claims;
    const { tpmLife: _life, ...older } = without;
    return n < 4 ? claims : n < 6 ? without : older;
  });

export const arbitraryEvidence: Arbitrary<EvidenceMessage> = withCrit(
  fc.record(
    {
      v: one,
      challenge: some(60),
      claims: some(300),
      log: fc.oneof(some(300), fc.record({ digest, length: fc.nat(60_000), parts: fc.nat(512) }, plain)),
      attest: some(60),
      signature: some(60),
    },
    plain,
  ),
);

const components: Arbitrary<Components> = fc.record(
  {
    agent: digest,
    node: digest,
    profile: digest,
    trust: digest,
    runtime: orNull(digest),
    gateMode: fc.constantFrom('none' as const, 'kernel' as const),
  },
  plain,
);
const differing = fc.record({ path: words(4096), expected: orNull(digest), found: orNull(digest) }, plain);

export const arbitraryEvent: Arbitrary<LogEvent> = fc.oneof(
  fc.record(
    {
      v: one,
      type: fc.constant('boot' as const),
      deviceId: words(64),
      why: fc.constantFrom(...EPOCH_CHANGES),
      components,
    },
    plain,
  ),
  fc.record(
    {
      v: one,
      type: fc.constant('agent-start' as const),
      session: bytes(16),
      previous: fc.constantFrom('first' as const, 'stopped' as const, 'killed' as const),
      components,
    },
    plain,
  ),
  fc.record(
    {
      v: one,
      type: fc.constant('slot' as const),
      slot: words(64),
      cause: fc.constantFrom(
        'activated' as const,
        'measured' as const,
        'changed' as const,
        'restored' as const,
        'emptied' as const,
      ),
      release: orNull(digest),
      statement: orNull(digest),
      manifest: digest,
      configs: orNull(digest),
      differing: fc.array(differing, { maxLength: 3 }),
      more: number,
    },
    plain,
  ),
  fc.record(
    {
      v: one,
      type: fc.constant('engine' as const),
      slot: words(64),
      cause: fc.constantFrom('compiled' as const, 'measured' as const),
      statement: digest,
      compiler: digest,
      engine: orNull(digest),
    },
    plain,
  ),
  fc.record({ v: one, type: fc.constant('foreign-extension' as const), expected: digest, found: digest }, plain),
);

/** A change of one byte. */
export const arbitraryMutation: Arbitrary<{ at: number; byte: number; kind: number }> = fc.record({
  at: fc.nat(5000),
  byte: fc.integer({ min: 0, max: 255 }),
  kind: fc.integer({ min: 0, max: 2 }),
});
