// What the slots of a device may hold: every lawful state is affirmed, every other is found by its rule, in words that help.
import { describe, expect, test } from 'vitest';
import type { LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { sameBytes } from '../../src/verifier/same-bytes.ts';
import type { AppraisalInput, ReferenceValues } from '../../src/verifier/types.ts';
import { withClaims, withProfile, withReference, withRelease } from './attack.ts';
import {
  agentStart,
  boot,
  build,
  digestOf,
  EMPTY_MANIFEST,
  genuineEvents,
  reference,
  release,
  slotEvent,
} from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

const rules = (input: AppraisalInput): readonly string[] => appraise(input).findings.map(({ rule }) => rule);
const texts = (input: AppraisalInput): readonly string[] =>
  appraise(input).findings.map(({ expected, found }) => `${expected} | ${found}`);

describe('a slot', () => {
  const spare = {
    ...(reference.profile.slots[0] as ReferenceValues['profile']['slots'][number]),
    name: 'spare',
    required: false,
  };
  const empty: SlotEvent = {
    ...slotEvent,
    slot: 'spare',
    cause: 'emptied',
    release: null,
    statement: null,
    configs: null,
    manifest: EMPTY_MANIFEST,
  };
  const two = withProfile({ slots: [...reference.profile.slots, spare] });

  test('that is not required may be empty', () => {
    const appraisal = appraise(build({ events: [...genuineEvents, empty], input: two }));
    expect(appraisal.findings).toEqual([]);
    expect(appraisal.slots).toEqual([
      { slot: 'main', status: 'affirming' },
      { slot: 'spare', status: 'affirming' },
    ]);
  });

  test('that is not required and was not measured is not judged', () => {
    const appraisal = appraise(build({ input: two }));
    expect(appraisal.findings).toMatchObject([{ rule: 'slot-unmeasured', status: 'none', subject: 'spare' }]);
    expect(appraisal.slots.at(-1)?.status).toBe('none');
  });

  test('under break-glass where the profile allows none is against the device, in the words of who broke it', () => {
    const glass = { slot: 'main', leftMs: 1, reason: 'theatre 2' };
    const appraisal = appraise(build({ claims: withClaims({ breakGlass: [glass] }) }));
    expect(appraisal.status).toBe('contraindicated');
    expect(appraisal.findings).toMatchObject([
      { rule: 'break-glass-profile', expected: 'at most 0 s', found: 'under break-glass for 1 s more: theatre 2' },
    ]);
  });

  test('that holds one of the planned changes is as expected', () => {
    const slots = reference.profile.slots.map((slot) => ({ ...slot, plannedChanges: ['PCCP-1', 'PCCP-2'] }));
    const planned = withRelease({ pccpChangeId: 'PCCP-2' });
    expect(rules(build({ input: (input) => withProfile({ slots })(planned(input)) }))).toEqual([]);
    const other = withRelease({ pccpChangeId: 'PCCP-3' });
    expect(rules(build({ input: (input) => withProfile({ slots })(other(input)) }))).toEqual(['release-change']);
  });

  test('without configs in profile and log is as expected', () => {
    const slots = reference.profile.slots.map((slot) => ({ ...slot, configs: null }));
    const events: LogEvent[] = [boot, agentStart, { ...slotEvent, configs: null }];
    expect(rules(build({ events, input: withProfile({ slots }) }))).toEqual([]);
  });

  test('whose configs lie there without a release is wrong by them', () => {
    const events: LogEvent[] = [...genuineEvents, { ...empty, configs: digestOf('lax') }];
    expect(rules(build({ events, input: two }))).toEqual(['config-bytes']);
  });

  test('claimed to hold nothing while the log says it does is found', () => {
    const slots = [{ slot: 'main', state: 'empty', release: null, version: null, securityVersion: null }] as const;
    expect(texts(build({ claims: withClaims({ slots }) }))).toEqual([
      `${digestOf('release').toString('hex')} by the log | absent claimed`,
    ]);
  });

  test('claimed that the log does not know must be claimed empty', () => {
    const claim = {
      slot: 'other',
      state: 'active',
      release: digestOf('x'),
      version: null,
      securityVersion: null,
    } as const;
    expect(texts(build({ claims: (c) => ({ ...c, slots: [...c.slots, claim] }) }))).toEqual([
      `absent by the log | ${digestOf('x').toString('hex')} claimed`,
    ]);
    expect(rules(build({ claims: (c) => ({ ...c, slots: [...c.slots, { ...claim, release: null }] }) }))).toEqual([]);
  });

  test('without a statement where the release has one is found', () => {
    const events: LogEvent[] = [boot, agentStart, { ...slotEvent, statement: null }];
    expect(texts(build({ events }))).toEqual([`${digestOf('statement').toString('hex')} | absent`]);
  });

  test('with differing files names each of them, up to a few, and counts the rest', () => {
    const file = (i: number): (typeof slotEvent.differing)[number] => ({
      path: `f${i}`,
      expected: i === 0 ? null : digestOf('a'),
      found: digestOf('b'),
    });
    const differing = Array.from({ length: 20 }, (_, i) => file(i));
    const bad: LogEvent = { ...slotEvent, differing, more: 3 };
    const found = texts(build({ events: [boot, agentStart, bad] }));
    expect(found).toHaveLength(17);
    expect(found[0]).toBe(`f0: absent | f0: ${digestOf('b').toString('hex')}`);
    expect(found.at(-1)).toMatch(/7 more differing files$/);
    expect(texts(build({ events: [boot, agentStart, { ...bad, differing: [file(1)], more: 0 }] }))).toHaveLength(1);
  });

  test('with differing files of a release that nobody knows is wrong by both', () => {
    const bad: LogEvent = { ...slotEvent, release: digestOf('unknown'), more: 1 };
    const slots = [
      { slot: 'main', state: 'active', release: digestOf('unknown'), version: null, securityVersion: null },
    ] as const;
    const input = build({ events: [boot, agentStart, bad], claims: withClaims({ slots }) });
    expect(rules(input)).toEqual(['release-unknown', 'model-bytes']);
    expect(appraise(input).findings[1]).toMatchObject({ source: 'fleet' });
  });

  test('that was wrong under no name of the profile, in files or in role, is remembered as wrong', () => {
    const wrong: readonly [LogEvent, (input: AppraisalInput) => AppraisalInput][] = [
      [{ ...slotEvent, manifest: digestOf('bad') }, (input) => input],
      [{ ...slotEvent, statement: digestOf('bad') }, (input) => input],
      [{ ...slotEvent, configs: digestOf('bad') }, (input) => input],
      [{ ...slotEvent, release: digestOf('unknown') }, (input) => input],
      [{ ...slotEvent, release: null, statement: null }, (input) => input],
      [{ ...slotEvent, more: 1 }, (input) => input],
    ];
    for (const [event, input] of wrong) {
      expect(rules(build({ events: [boot, agentStart, event, { ...slotEvent, cause: 'restored' }], input }))).toEqual([
        'changed-since-boot',
      ]);
    }
  });

  test('that holds a release for another role stays wrong while it does', () => {
    for (const change of [{ slotRole: 'planning' }, { modelId: 'toy' }, { hardwareClass: ['arm'] }]) {
      const input = build({
        events: [...genuineEvents, { ...slotEvent, cause: 'restored' }],
        input: withRelease(change),
      });
      expect(rules(input)).not.toContain('changed-since-boot');
      expect(rules(input)).toHaveLength(1);
    }
  });

  test('that changed from one good release to another was good all the time', () => {
    const second = {
      ...release,
      id: digestOf('second').toString('hex'),
      statement: digestOf('s2'),
      manifest: digestOf('m2'),
    };
    const upgraded: LogEvent = {
      ...slotEvent,
      cause: 'activated',
      release: digestOf('second'),
      statement: second.statement,
      manifest: second.manifest,
    };
    const slots = [
      { slot: 'main', state: 'active', release: digestOf('second'), version: '2', securityVersion: 1 },
    ] as const;
    const releases = new Map([
      [release.id, release],
      [second.id, second],
    ]);
    const bend: Bend = {
      events: [...genuineEvents, upgraded],
      claims: withClaims({ slots }),
      input: withReference({ releases }),
    };
    expect(rules(build(bend))).toEqual([]);
  });

  test('that was wrong and is now empty, as it may be, was still wrong', () => {
    const lax: SlotEvent = { ...empty, configs: digestOf('lax') };
    const appraisal = appraise(build({ events: [...genuineEvents, lax, empty], input: two }));
    expect(appraisal.findings).toMatchObject([{ rule: 'changed-since-boot', subject: 'spare', source: 'profile' }]);
  });
});

test('bytes are the same when all of them are, and nothing is the same as nothing', () => {
  const bytes = Buffer.from([1, 2]);
  expect([sameBytes(bytes, new Uint8Array([1, 2])), sameBytes(null, null)]).toEqual([true, true]);
  const others = [null, Buffer.from([1]), Buffer.from([1, 3])];
  expect(others.map((other) => sameBytes(bytes, other) || sameBytes(other, bytes))).toEqual([false, false, false]);
});
