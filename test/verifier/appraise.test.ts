// Appraisal of evidence that is not attacked: what honest devices do, in every state they may be in, and what assurance that gives.
import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../src/cel/events.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { appraise, appraiseWith } from '../../src/verifier/appraise.ts';
import { checks } from '../../src/verifier/checks.ts';
import type { AppraisalInput, RowState } from '../../src/verifier/types.ts';
import { laterRow, withClaims, withProfile, withReference } from './attack.ts';
import { agentStart, boot, build, components, digestOf, endorsement, freshRow, slotEvent } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

const rules = (input: AppraisalInput): readonly string[] => appraise(input).findings.map(({ rule }) => rule);
const texts = (input: AppraisalInput): readonly string[] =>
  appraise(input).findings.map(({ expected, found }) => `${expected} | ${found}`);
const tier = (name: 'hardware' | 'pinned' | 'software'): Bend => ({
  input: (input) => ({
    ...input,
    endorsement: { ...endorsement, endorsement: { ...endorsement.endorsement, tier: name } },
  }),
});
const gated: LogEvent = { ...agentStart, components: { ...components, gateMode: 'kernel' } } as LogEvent;

describe('assurance', () => {
  const assurance = (bend: Bend): string => appraise(build(bend)).assurance;
  const kernel: Bend = {
    events: [boot, gated, slotEvent],
    input: withReference({ components: [{ ...components, gateMode: 'kernel' }] }),
  };

  test.each<[string, string, Bend]>([
    ['A3', 'a measured boot with the kernel gate', kernel],
    ['A2', 'a measured boot that covers the agent', {}],
    ['A1', 'a boot whose reference values leave out the agent', { input: withReference({ bootCoversAgent: false }) }],
    [
      'A1',
      'a boot PCR without reference value',
      { input: withReference({ bootPcrs: new Map([[0, new Set([digestOf('pcr 0').toString('hex')])]]) }) },
    ],
    ['A1', 'components that nobody pinned', { input: withReference({ components: null }) }],
    ['A1', 'a profile without boot PCRs', { input: withProfile({ bootPcrs: [] }) }],
    ['A1', 'a boot PCR of the profile that was not asked for', { input: withProfile({ bootPcrs: [0, 7, 9] }) }],
    [
      'A1',
      'another kernel',
      {
        input: withReference({
          bootPcrs: new Map([
            [0, new Set(['00'])],
            [7, new Set(['00'])],
          ]),
        }),
      },
    ],
    ['A1', 'a log that hides what booted', { events: [agentStart, slotEvent] }],
    ['A0', 'a pinned TPM, which no vendor certified', tier('pinned')],
    ['A0', 'a software TPM', tier('software')],
  ])('%s: %s', (level, _, bend) => {
    expect(assurance(bend)).toBe(level);
  });

  test('stays when only a slot is wrong: what is measured was measured', () => {
    expect(appraise(build({ input: withReference({ releases: new Map() }) }))).toMatchObject({
      status: 'contraindicated',
      assurance: 'A2',
    });
  });

  test('is no better for the device’s claims', () => {
    expect(assurance({ ...tier('software'), claims: withClaims({ agentVersion: 'A3', reports: [] }) })).toBe('A0');
  });
});

describe('a TPM over time', () => {
  const after = (change: Partial<RowState>, bend: Bend = {}): readonly string[] =>
    rules(build({ ...bend, row: { ...freshRow, ...change } }));
  const before = laterRow();
  const inEpoch = (resetCount: number, restartCount: number): Partial<RowState> => ({
    log: before.log === null ? null : { ...before.log, session: null, epoch: { resetCount, restartCount } },
  });

  test('may go on in its epoch', () => {
    expect(after({ clock: 500_000n, maxResetCount: 4 })).toEqual([]);
  });

  test('may be reset and restarted', () => {
    expect(after({ ...inEpoch(3, 9), maxResetCount: 3 })).toEqual([]);
    expect(after({ ...inEpoch(4, 0), maxResetCount: 4, clock: 500_000n })).toEqual([]);
  });

  test('may not count back', () => {
    expect(after({ maxResetCount: 5 })).toEqual(['tpm-cleared-or-replaced']);
    expect(after({ ...inEpoch(4, 1), maxResetCount: 4 })).toEqual(['tpm-cleared-or-replaced']);
  });

  test('may be cleared once it was accepted as it is: counters and clock then say nothing, and what was held against it stays until then', () => {
    const life = (byte: number): Buffer => Buffer.alloc(32, byte);
    const { log } = inEpoch(9, 0);
    if (log === null || log === undefined) throw new TypeError('it was accepted');
    const row = { ...freshRow, log: { ...log, tpmLife: life(1) }, maxResetCount: 9, clock: 9_000_000n };
    const cleared = build({ row, claims: withClaims({ tpmLife: life(2) }) });
    expect(rules(cleared)).toEqual(['tpm-cleared']);
    const { next } = appraise(cleared);
    expect(next).toMatchObject({ clock: row.clock, maxResetCount: 9, log: { tpmLife: life(1) } });
    // What an older agent does not say is not held against it; counters are then judged as ever.
    expect(rules(build({ row }))).toEqual(['tpm-cleared-or-replaced', 'clock-rolled-back']);
    const { tpmLife: _before, ...accepted } = row.log;
    const fresh = build({ row: { ...freshRow, log: accepted }, claims: withClaims({ tpmLife: life(2) }) });
    expect([rules(fresh), Buffer.from(appraise(fresh).next?.log?.tpmLife ?? [])]).toEqual([[], life(2)]);
  });

  test('may lose the clock since its last save in a power cut, and no more', () => {
    const unsafe: Bend = { attest: (a) => ({ ...a, safe: 0 }) };
    const save = 1n << 22n;
    expect(after({ ...inEpoch(3, 0), clock: 500_000n + save }, unsafe)).toEqual([]);
    expect(after({ ...inEpoch(3, 0), clock: 500_001n + save }, unsafe)).toEqual(['clock-rolled-back']);
    // Safe: the TPM’s own word that its clock is not behind.
    expect(after({ ...inEpoch(3, 0), clock: 500_001n })).toEqual(['clock-rolled-back']);
    // The same reset: nothing was lost.
    expect(after({ ...inEpoch(4, 0), clock: 500_001n }, unsafe)).toEqual(['clock-rolled-back']);
  });

  test('that went back is remembered where it was, so that the finding stays', () => {
    const next = appraise(build({ row: { ...freshRow, clock: 900_000n, maxResetCount: 9 } })).next;
    expect(next).toMatchObject({ clock: 900_000n, maxResetCount: 9 });
    expect(appraise(build()).next).toMatchObject({ clock: 500_000n, maxResetCount: 4 });
  });
});

describe('what a finding says', () => {
  test.each<[string, Bend, string]>([
    [
      'which components differ',
      {
        events: [
          boot,
          { ...agentStart, components: { ...components, runtime: digestOf('r'), gateMode: 'kernel' } } as LogEvent,
          slotEvent,
        ],
      },
      `one of 1 sets of components | runtime ${digestOf('r').toString('hex')}, gate mode kernel`,
    ],
    [
      'that no components are allowed',
      { input: withReference({ components: [] }) },
      'one of 0 sets of components | unlisted',
    ],
    [
      'which runtime is missing',
      { input: withReference({ components: [{ ...components, runtime: digestOf('r') }] }) },
      'one of 1 sets of components | runtime none',
    ],
    [
      'that no key is known by this name',
      { challenge: (c) => ({ ...c, kid: 'k9' }) },
      'a MAC by a challenge key of this controller | the unknown key k9',
    ],
    [
      'that a boot PCR has no good value',
      { input: withReference({ bootPcrs: new Map([[0, new Set()]]) }) },
      `PCR 0: nothing | PCR 0: ${digestOf('pcr 0').toString('hex')}`,
    ],
    [
      'that a boot PCR was not quoted',
      { input: withReference({ bootPcrs: new Map([[9, new Set(['aa', 'bb'])]]) }) },
      'PCR 9: aa or bb | PCR 9: not quoted',
    ],
    [
      'which fleet was claimed',
      { claims: withClaims({ fleetId: Buffer.alloc(16) }) },
      `fleet ${digestOf('fleet').subarray(0, 16).toString('hex')} | fleet ${'00'.repeat(16)}`,
    ],
    ['that nothing was quoted', { attest: (a) => ({ ...a, banks: [] }), challenge: (c) => c }, '0xb alone | no bank'],
    ['how far the log goes', { claims: withClaims({ logTo: 9 }) }, 'records up to 9, as claimed | records up to 3'],
    [
      'where a log without past may start',
      { claims: withClaims({ logFrom: 4, logTo: 6 }) },
      'record 1 | record 4 in the epoch reset 4, restart 0',
    ],
  ])('%s', (_, bend, text) => {
    expect(texts(build(bend))).toContain(text);
  });

  test('that the profile was not measured', () => {
    expect(texts(build({ events: [slotEvent] })).join()).toMatch(/measured none/);
  });

  test('where a log may go on', () => {
    const row = laterRow();
    const input = build({ row, firstRecord: 5, startPcr: row.log?.pcr ?? Buffer.alloc(0), events: [slotEvent] });
    expect(texts(input)).toContain(
      'record 1, or 4 in the epoch reset 4, restart 0 | record 5 in the epoch reset 4, restart 0',
    );
  });
});

describe('a log that goes on', () => {
  const row = laterRow();
  const startPcr = row.log?.pcr ?? Buffer.alloc(0);
  const goesOn = (bend: Bend): readonly string[] =>
    rules(build({ row, firstRecord: 4, startPcr, events: [], ...bend }));

  test('may not go on when the controller asked for all of it', () => {
    expect(goesOn({ challenge: (c) => ({ ...c, epoch: null, afterSeq: 0 }) })).toContain('log-start');
    expect(goesOn({ challenge: (c) => ({ ...c, epoch: null }) })).toContain('log-start');
  });

  test('may not go on from where the row no longer is', () => {
    expect(goesOn({ challenge: (c) => ({ ...c, afterSeq: 2 }), firstRecord: 3 })).toContain('log-start');
    expect(goesOn({ challenge: (c) => ({ ...c, epoch: { resetCount: 1, restartCount: 1 } }) })).toContain('log-start');
    expect(goesOn({ row: { ...row, log: null } })).toContain('log-start');
  });

  test('may start again at its beginning', () => {
    expect(rules(build({ row }))).toEqual([]);
  });

  test('remembers what its earlier records said', () => {
    expect(appraise(build({ row, firstRecord: 4, startPcr, events: [] })).slots).toEqual([
      { slot: 'main', status: 'affirming' },
    ]);
    const next = appraise(
      build({ row, firstRecord: 4, startPcr, events: [{ ...slotEvent, manifest: digestOf('bad') }] }),
    );
    expect(next.findings.map(({ rule }) => rule)).toEqual(['model-bytes']);
    expect(row.log?.slots[0]?.wasWrong).toBe(false);
  });
});

describe('a log in parts', () => {
  const input = (log: Buffer | null): AppraisalInput => ({
    ...build({
      message: (message) => ({
        ...message,
        log: { digest: sha256(message['log'] as Uint8Array), length: 9, parts: 1 },
      }),
    }),
    log,
  });

  test('is judged when it is there', () => {
    let kept = Buffer.alloc(0);
    build({ log: (log) => (kept = Buffer.from(log)) });
    expect(rules(input(kept))).toEqual([]);
  });

  test('is bound to nothing when it is not', () => {
    expect(rules(input(null))).toEqual(['qualifying-data']);
  });
});

test('boot PCRs that were not claimed count as zero, should the check that counts them be gone', () => {
  const cut = {
    ...checks,
    explained: checks.explained.filter(({ name }) => !['event-pcr-quoted', 'log-replay'].includes(name)),
  };
  const { findings } = appraiseWith(cut, build({ claims: withClaims({ bootPcrs: [] }) }));
  expect(findings.map(({ found }) => found)).toEqual([`PCR 0: ${'00'.repeat(32)}`, `PCR 7: ${'00'.repeat(32)}`]);
});

test('reports about TPM and journal are warnings, others are not', () => {
  const report = { session: Buffer.alloc(16), rule: 'r', slot: null, subject: null, detail: 'd', at: 0 };
  const kinds = ['refused', 'command', 'activated', 'rolled-back', 'interrupted', 'tpm', 'journal'] as const;
  const reports = kinds.map((kind, n) => ({ ...report, kind, n }));
  expect(texts(build({ claims: withClaims({ reports }) }))).toEqual([
    'no trouble | tpm: r: d',
    'no trouble | journal: r: d',
  ]);
});
