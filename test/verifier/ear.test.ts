// Results for other systems: each submodule says what was found, never better than any claim in its vector, and never more than was proven.
import { describe, expect, test } from 'vitest';
import { RULES } from '../../src/rules/catalogue.ts';
import type { Status } from '../../src/rules/finding.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { earClaims, EAR_PROFILE } from '../../src/verifier/ear.ts';
import type { EarAppraisal, EarClaims } from '../../src/verifier/ear.ts';
import { worse } from '../../src/verifier/findings.ts';
import { contentAttacks } from './content-attacks.ts';
import { quoteAttacks } from './quote-attacks.ts';
import {
  agentStart,
  boot,
  build,
  digestOf,
  endorsement,
  genuineEvents,
  policy,
  slotEvent,
} from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';
import { withReference } from './attack.ts';

const ear = (bend: Bend = {}): EarClaims => earClaims(appraise(build(bend)), 1_800_000_000, 'touchstone 0.1.0');
const vectorOf = (claims: EarClaims, submodule: string): EarAppraisal['ear.trustworthiness-vector'] =>
  claims.submods[submodule]?.['ear.trustworthiness-vector'];

/** AR4SI: the tier that a claim's value belongs to. */
function tierOf(value: number): Status {
  const size = value < 0 ? -value - 1 : value;
  if (size <= 1) return 'none';
  if (size <= 31) return 'affirming';
  return size <= 95 ? 'warning' : 'contraindicated';
}

describe('a result', () => {
  test('of good evidence affirms every claim that was proven', () => {
    expect(ear()).toEqual({
      eat_profile: EAR_PROFILE,
      iat: 1_800_000_000,
      'ear.verifier-id': { developer: 'touchstone', build: 'touchstone 0.1.0' },
      eat_nonce: digestOf('nonce').subarray(0, 16).toString('hex'),
      submods: {
        device: {
          'ear.status': 'affirming',
          'ear.trustworthiness-vector': { 'instance-identity': 2, hardware: 2, executables: 2, configuration: 2 },
          'ear.appraisal-policy-id': digestOf('policy').toString('hex'),
          'touchstone.assurance': 'A2',
          'touchstone.findings': [],
        },
        'slot:main': {
          'ear.status': 'affirming',
          'ear.trustworthiness-vector': { 'file-system': 2, configuration: 2, 'sourced-data': 2 },
          'ear.appraisal-policy-id': Buffer.from(policy.digest).toString('hex'),
          'touchstone.findings': [],
        },
      },
    });
  });

  test.each([...quoteAttacks, ...contentAttacks])(
    'of $attack is in no submodule better than its claims',
    ({ bend }) => {
      const appraisal = appraise(build(bend()));
      const { submods } = earClaims(appraisal, 0, 'b');
      const statuses = Object.values(submods).map((submodule) => {
        const claims = Object.values(submodule['ear.trustworthiness-vector'] ?? {}).map(tierOf);
        const known = claims.filter((tier) => tier !== 'none');
        expect(known.reduce(worse, submodule['ear.status'])).toBe(submodule['ear.status']);
        return submodule['ear.status'];
      });
      expect(statuses.reduce(worse)).toBe(appraisal.status);
      const findings = Object.values(submods).flatMap((submodule) => submodule['touchstone.findings']);
      expect(findings).toHaveLength(appraisal.findings.length);
      expect(findings.every(({ rule }) => Object.hasOwn(RULES, rule))).toBe(true);
    },
  );
});

describe('the device', () => {
  const software: Bend = {
    input: (input) => ({
      ...input,
      endorsement: { ...endorsement, endorsement: { ...endorsement.endorsement, tier: 'software' } },
    }),
  };
  const pinned: Bend = {
    input: (input) => ({
      ...input,
      endorsement: { ...endorsement, endorsement: { ...endorsement.endorsement, tier: 'pinned' } },
    }),
  };

  test('with a software TPM is known, and its hardware is a warning', () => {
    expect(vectorOf(ear(software), 'device')).toEqual({
      'instance-identity': 2,
      hardware: 32,
      executables: 0,
      configuration: 2,
    });
  });

  test('that the operator named has no claim about its hardware', () => {
    expect(vectorOf(ear(pinned), 'device')).toMatchObject({ hardware: 0, executables: 0 });
  });

  test('whose agent no boot measured has no claim about what runs', () => {
    expect(vectorOf(ear({ input: withReference({ bootCoversAgent: false }) }), 'device')).toMatchObject({
      hardware: 2,
      executables: 0,
    });
  });

  test('with another agent is contraindicated in what runs, proven or not', () => {
    const components = { input: withReference({ components: [], bootCoversAgent: false }) };
    expect(vectorOf(ear(components), 'device')).toMatchObject({ executables: 96 });
  });

  test('that somebody else signed for is not spoken of: anybody can send that', () => {
    const claims = ear({ signature: () => Buffer.from('0018000b000101000101', 'hex') });
    expect(claims.submods['device']).toMatchObject({ 'ear.status': 'none', 'touchstone.assurance': 'A0' });
    expect(claims.submods['device']).not.toHaveProperty('ear.trustworthiness-vector');
    expect(Object.keys(claims.submods)).toEqual(['device']);
  });

  test('of which nothing could be judged has no vector', () => {
    const claims = ear({ message: () => ({}) });
    expect(claims.submods['device']).not.toHaveProperty('ear.trustworthiness-vector');
    expect(claims.submods['device']).not.toHaveProperty('ear.appraisal-policy-id');
    expect(claims).not.toHaveProperty('eat_nonce');
  });
});

describe('a slot', () => {
  test('with changed files is contraindicated in them alone', () => {
    const claims = ear({ events: [boot, agentStart, { ...slotEvent, manifest: digestOf('bad') }] });
    expect(vectorOf(claims, 'slot:main')).toEqual({ 'file-system': 96, configuration: 2, 'sourced-data': 2 });
    expect(claims.submods['device']).toMatchObject({ 'ear.status': 'affirming' });
  });

  test('with changed configs is contraindicated in them alone', () => {
    const claims = ear({ events: [boot, agentStart, { ...slotEvent, configs: digestOf('bad') }] });
    expect(vectorOf(claims, 'slot:main')).toEqual({ 'file-system': 2, configuration: 96, 'sourced-data': 2 });
  });

  test('with a release that nobody signed is contraindicated in where it came from', () => {
    expect(vectorOf(ear({ input: withReference({ releases: new Map() }) }), 'slot:main')).toMatchObject({
      'sourced-data': 96,
    });
  });

  test('that no profile has is a submodule of its own', () => {
    const claims = ear({ events: [...genuineEvents, { ...slotEvent, slot: 'hidden' }] });
    expect(claims.submods['slot:hidden']).toMatchObject({
      'ear.status': 'contraindicated',
      'ear.trustworthiness-vector': { 'file-system': 96 },
    });
  });

  test('that was not measured has no vector', () => {
    const slots = (build().reference.profile.slots ?? []).map((slot) => ({ ...slot, name: 'spare', required: false }));
    const input: Bend['input'] = (one) => ({
      ...one,
      reference: {
        ...one.reference,
        profile: { ...one.reference.profile, slots: [...one.reference.profile.slots, ...slots] },
      },
    });
    expect(ear({ input }).submods['slot:spare']).not.toHaveProperty('ear.trustworthiness-vector');
  });
});
