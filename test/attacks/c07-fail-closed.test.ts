// C7, failures that end in trust: whatever cannot be read or checked is no reason to believe, and no exception either.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../src/cel/events.ts';
import { appraise, appraiseWith } from '../../src/verifier/appraise.ts';
import { checks } from '../../src/verifier/checks.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { arbitraryClaims, arbitraryEvent, arbitraryMutation } from '../support/arbitrary-messages.ts';
import { mutated } from '../support/wire-outcome.ts';
import { laterRow } from '../verifier/attack.ts';
import { build, fleetId, deviceId, session } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';

const genuine = build();

/** Not trusted, and the row does not move. */
const REFUSED = { accepted: false, next: null, slots: [], assurance: 'A0' };

describe('a part that cannot be read', () => {
  const junk = Buffer.from('ff00ff', 'hex');
  test.each<[string, Bend, string, string]>([
    ['the message', { message: () => ({}) }, 'evidence-malformed', 'none'],
    ['the challenge', { message: (m) => ({ ...m, challenge: junk }) }, 'evidence-malformed', 'none'],
    ['the signature', { signature: () => junk }, 'quote-signature', 'none'],
    ['the signature’s scheme', { signature: () => Buffer.from('001a000b0000', 'hex') }, 'quote-signature', 'none'],
    ['the attestation', { attestBytes: () => junk }, 'quote-malformed', 'none'],
    ['what was quoted', { attestBytes: (attest) => attest.subarray(0, -1) }, 'quote-malformed', 'contraindicated'],
    ['the claims', { claims: (claims) => ({ ...claims, v: 2 as 1 }) }, 'claims-malformed', 'contraindicated'],
    ['the log', { log: () => junk }, 'log-malformed', 'contraindicated'],
    ['an event', { events: [{ v: 1, type: 'new' } as unknown as LogEvent] }, 'log-malformed', 'contraindicated'],
  ])('%s ends in no trust, with its rule', (_, bend, rule, status) => {
    const appraisal = appraise(build(bend));
    expect(appraisal).toMatchObject({ ...REFUSED, status });
    expect(appraisal.findings.map((finding) => finding.rule)).toEqual([rule]);
  });

  test('says so for all of them that the quote binds, not only for the first', () => {
    const bend: Bend = {
      log: () => junk,
      claims: (claims) => ({ ...claims, v: 2 as 1 }),
      attestBytes: (attest) => Buffer.concat([attest, junk]),
    };
    const rules = appraise(build(bend)).findings.map(({ rule }) => rule);
    expect(rules).toEqual(['quote-malformed', 'claims-malformed', 'log-malformed']);
  });
});

describe('whatever arrives', () => {
  const refused = (input: AppraisalInput): boolean => {
    const { accepted, next, slots, assurance, status, findings } = appraise(input);
    const judged = (status === 'none' || status === 'contraindicated') && findings.length > 0;
    return judged && !accepted && next === null && slots.length === 0 && assurance === 'A0';
  };

  test('random bytes are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (evidence) => {
        expect(refused({ ...genuine, evidence })).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('damaged evidence is refused', () => {
    fc.assert(
      fc.property(arbitraryMutation, arbitraryMutation, (first, second) => {
        const once = mutated(genuine.evidence, first);
        fc.pre(!once.equals(genuine.evidence));
        expect(refused({ ...genuine, evidence: once })).toBe(true);
        const twice = mutated(once, second);
        fc.pre(!twice.equals(genuine.evidence));
        expect(refused({ ...genuine, evidence: twice })).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('random logs and claims under a genuine quote are judged, and never thrown at anybody', () => {
    const bends = fc.record(
      { events: fc.array(arbitraryEvent, { maxLength: 4 }), claims: arbitraryClaims },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(bends, fc.boolean(), ({ events, claims }, ours) => {
        const named = ours ? { ...claims, fleetId, deviceId, session, logFrom: 1, logTo: events.length } : claims;
        const { status, findings } = appraise(build({ events, claims: () => named }));
        expect(status).not.toBe('affirming');
        expect(findings.length).toBeGreaterThan(0);
      }),
      { numRuns: 200 },
    );
  });

  test('random bytes as the log, truly quoted, are judged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (log) => {
        expect(refused(build({ log: () => Buffer.from(log) }))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('random bytes as the attestation, truly signed, are judged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (attest) => {
        expect(refused(build({ attestBytes: () => Buffer.from(attest) }))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('random bytes as the signature are judged', () => {
    const heads = fc.constantFrom('0018000b', '0014000b', '00180004', '0018000c', '');
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 140 }), (head, rest) => {
        expect(refused(build({ signature: () => Buffer.concat([Buffer.from(head, 'hex'), rest]) }))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the order of stages', () => {
  test('nothing is read of a message that no stage before it vouched for', () => {
    const touched: string[] = [];
    const spy = <T>(
      list: readonly { name: string; run: (context: T, findings: never) => void }[],
      stage: string,
    ): typeof list =>
      list.map(({ name, run }) => ({
        name,
        run: (context: T, findings: never) => {
          touched.push(stage);
          run(context, findings);
        },
      }));
    const watched = {
      asked: spy(checks.asked as never, 'asked'),
      signed: spy(checks.signed as never, 'signed'),
      quoted: spy(checks.quoted as never, 'quoted'),
      explained: spy(checks.explained as never, 'explained'),
      expected: spy(checks.expected as never, 'expected'),
    } as unknown as typeof checks;
    const stages = (bend: Bend): readonly string[] => {
      touched.length = 0;
      appraiseWith(watched, build(bend));
      return [...new Set(touched)];
    };
    expect(stages({ message: () => ({}) })).toEqual([]);
    expect(stages({ challenge: (c) => ({ ...c, kid: 'x' }) })).toEqual(['asked']);
    expect(stages({ signature: () => Buffer.from('0018000b00010100 0101'.replace(' ', ''), 'hex') })).toEqual([
      'asked',
      'signed',
    ]);
    expect(stages({ attest: (a) => ({ ...a, type: 1 }) })).toEqual(['asked', 'signed', 'quoted']);
    expect(stages({ pcrValues: () => [] })).toEqual(['asked', 'signed', 'quoted', 'explained']);
    expect(stages({})).toEqual(['asked', 'signed', 'quoted', 'explained', 'expected']);
  });
});

test('a bug is no judgement: it is thrown, so that nobody takes it for one', () => {
  const broken = { ...genuine, row: null as never };
  expect(() => appraise(broken)).toThrow(TypeError);
  expect(() => appraise({ ...genuine, evidence: null as never })).toThrow(TypeError);
});

test('what was refused leaves the row as it was, what was accepted moves it by one', () => {
  expect(appraise({ ...genuine, now: 0 }).next).toBeNull();
  expect(appraise(genuine).next?.generation).toBe(genuine.row.generation + 1);
  expect(laterRow().generation).toBe(4);
});
