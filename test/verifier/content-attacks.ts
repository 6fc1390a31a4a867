// Attacks that only the content of believable evidence shows: TPM history, boot, agent, profile, slots.
import type { LogEvent } from '../../src/cel/events.ts';
import type { Report } from '../../src/evidence/claims.ts';
import { laterRow, rowInLife, withReference, withProfile, withRelease, withClaims } from './attack.ts';
import type { Attack } from './attack.ts';
import { promiseAttacks } from './promise-attacks.ts';
import {
  agentStart,
  boot,
  bootPcrs,
  components,
  digestOf,
  endorsement,
  extendAll,
  freshRow,
  genuineEvents,
  recordsOf,
  reference,
  session,
  sha,
  slotEvent,
} from './evidence-builder.ts';

const withFloor = withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, floor: 0 })) });
const SEVEN = { slot: 'main', floor: 7 };

const report: Report = {
  session,
  n: 1,
  kind: 'refused',
  rule: 'release-unsigned',
  slot: 'main',
  subject: null,
  detail: 'x',
  at: 1,
};
const secondSlot = {
  ...reference.profile.slots[0],
  name: 'spare',
  required: true,
} as (typeof reference.profile.slots)[number];

export const contentAttacks: readonly Attack[] = [
  {
    attack: 'a cleared TPM whose counters have caught up',
    check: 'tpm-cleared',
    rule: 'tpm-cleared',
    bend: () => ({
      row: rowInLife(digestOf('before')),
      claims: withClaims({ tpmLife: digestOf('after') }),
    }),
  },
  {
    attack: 'a TPM whose counters went back',
    check: 'tpm-counters',
    rule: 'tpm-cleared-or-replaced',
    bend: () => ({ row: { ...freshRow, maxResetCount: 5 } }),
  },
  {
    attack: 'a TPM clock that was turned back',
    check: 'tpm-clock',
    rule: 'clock-rolled-back',
    bend: () => ({ row: { ...freshRow, clock: 500_001n } }),
  },
  {
    attack: 'a PCR extended by somebody else, admitted in the log',
    check: 'foreign-extension',
    rule: 'foreign-extension',
    bend: () => {
      const found = digestOf('foreign');
      const events: LogEvent[] = [
        ...genuineEvents,
        { v: 1, type: 'foreign-extension', expected: Buffer.alloc(32), found },
        { ...slotEvent, cause: 'measured' },
      ];
      return { events, pcrValues: () => [...bootPcrs, extendAll(found, recordsOf(events, 1).slice(3))] };
    },
  },
  {
    attack: 'a log that hides what booted',
    check: 'boot-explained',
    rule: 'boot-explained',
    bend: () => ({ events: [agentStart, slotEvent] }),
  },
  {
    attack: 'an agent that was never measured speaks',
    check: 'agent-start',
    rule: 'agent-start',
    bend: () => ({ claims: withClaims({ session: digestOf('other session').subarray(0, 16) }) }),
  },
  {
    attack: 'yesterday’s log, extended again by hand after a reboot',
    check: 'agent-start',
    rule: 'agent-start',
    bend: () => {
      const { log } = laterRow();
      return { row: { ...freshRow, log: log === null ? null : { ...log, epoch: { resetCount: 3, restartCount: 7 } } } };
    },
  },
  {
    attack: 'the name of another profile',
    check: 'profile',
    rule: 'profile',
    bend: () => ({ claims: withClaims({ profile: 'lax' }) }),
  },
  {
    attack: 'another profile',
    check: 'profile',
    rule: 'profile',
    bend: () => ({ claims: withClaims({ profileDigest: digestOf('lax profile') }) }),
  },
  {
    attack: 'an agent that the owner never rolled out',
    check: 'components',
    rule: 'components',
    bend: () => {
      const changed = { ...components, agent: digestOf('evil agent') };
      return { events: [boot, { ...agentStart, components: changed } as LogEvent, slotEvent] };
    },
  },
  {
    attack: 'another kernel',
    check: 'boot-pcr',
    rule: 'boot-pcr',
    bend: () => {
      const changed = [digestOf('pcr 0'), digestOf('evil kernel')];
      return {
        claims: withClaims({ bootPcrs: changed }),
        pcrValues: ([, , pcr]) => [...changed, pcr ?? Buffer.alloc(32)],
      };
    },
  },
  {
    attack: 'a measurement from long ago',
    check: 'measured-late',
    rule: 'measured-late',
    bend: () => ({ claims: withClaims({ measuredAgo: 120_001 }) }),
  },
  {
    attack: 'one report name for two reports',
    check: 'report-name',
    rule: 'report-name',
    bend: () => ({ claims: withClaims({ reports: [report, { ...report, detail: 'y' }] }) }),
  },
  {
    attack: 'a journal that started over',
    check: 'report-trouble',
    rule: 'report-trouble',
    bend: () => ({ claims: withClaims({ reports: [{ ...report, kind: 'journal' }] }) }),
  },
  {
    attack: 'a software TPM that passes for hardware',
    check: 'tier-software',
    rule: 'tier-software',
    bend: () => ({
      input: (input) => ({
        ...input,
        endorsement: { ...endorsement, endorsement: { ...endorsement.endorsement, tier: 'software' } },
      }),
    }),
  },
  {
    attack: 'a slot that no profile has',
    check: 'slot-unknown',
    rule: 'slot-unknown',
    bend: () => ({ events: [...genuineEvents, { ...slotEvent, slot: 'hidden' }] }),
  },
  {
    attack: 'a slot that is never measured',
    check: 'slot-unmeasured',
    rule: 'slot-unmeasured',
    bend: () => ({ input: withProfile({ slots: [...reference.profile.slots, secondSlot] }) }),
  },
  {
    attack: 'a required slot left empty',
    check: 'slot-empty',
    rule: 'slot-empty',
    bend: () => ({
      events: [
        boot,
        agentStart,
        { ...slotEvent, release: null, statement: null, configs: null, manifest: sha(Buffer.from([0x80])) },
      ],
      claims: withClaims({ slots: [] }),
    }),
  },
  {
    attack: 'files without any release',
    check: 'model-unsigned',
    rule: 'model-unsigned',
    bend: () => ({
      events: [boot, agentStart, { ...slotEvent, release: null, statement: null }],
      claims: withClaims({ slots: [] }),
      input: withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, required: false })) }),
    }),
  },
  {
    attack: 'a version floor that was deleted from the TPM',
    check: 'floor-missing',
    rule: 'floor-missing',
    bend: () => ({ input: withFloor, claims: withClaims({ floors: [{ slot: 'main', floor: null }] }) }),
  },
  {
    attack: 'a version floor that is lower than it was',
    check: 'floor-decreased',
    rule: 'floor-decreased',
    bend: () => ({
      input: (input) => {
        const { log } = laterRow();
        return { ...withFloor(input), row: { ...input.row, log: log === null ? null : { ...log, floors: [SEVEN] } } };
      },
      claims: withClaims({ floors: [{ slot: 'main', floor: 6 }] }),
    }),
  },
  {
    attack: 'a release that nobody signed',
    check: 'release-unknown',
    rule: 'release-unknown',
    bend: () => ({ input: withReference({ releases: new Map() }) }),
  },
  {
    attack: 'a withdrawn release',
    check: 'release-withdrawn',
    rule: 'release-withdrawn',
    bend: () => ({ input: withRelease({ withdrawn: true }) }),
  },
  {
    attack: 'a release of a publisher whose key was revoked since',
    check: 'release-lapsed',
    rule: 'release-signer-revoked',
    bend: () => ({
      input: withRelease({ lapsed: [{ rule: 'release-signer-revoked', expected: 'a key', found: 'a revoked one' }] }),
    }),
  },
  {
    attack: 'a release for another role',
    check: 'release-role',
    rule: 'release-role',
    bend: () => ({ input: withRelease({ slotRole: 'planning' }) }),
  },
  {
    attack: 'a release of another model',
    check: 'release-model',
    rule: 'release-model',
    bend: () => ({ input: withRelease({ modelId: 'toy' }) }),
  },
  {
    attack: 'a release for other hardware',
    check: 'release-hardware',
    rule: 'release-hardware',
    bend: () => ({ input: withRelease({ hardwareClass: ['edge-arm64'] }) }),
  },
  {
    attack: 'another signed statement',
    check: 'model-statement',
    rule: 'model-statement',
    bend: () => ({ input: withRelease({ statement: digestOf('other') }) }),
  },
  {
    attack: 'other model bytes',
    check: 'model-bytes',
    rule: 'model-bytes',
    bend: () => ({ input: withRelease({ manifest: digestOf('other') }) }),
  },
  {
    attack: 'other config bytes',
    check: 'config-bytes',
    rule: 'config-bytes',
    bend: () => ({ events: [boot, agentStart, { ...slotEvent, configs: digestOf('lax configs') }] }),
  },
  {
    attack: 'a change that was undone before anybody looked',
    check: 'changed-since-boot',
    rule: 'changed-since-boot',
    bend: () => ({
      events: [
        ...genuineEvents,
        { ...slotEvent, cause: 'changed', manifest: digestOf('bad') },
        { ...slotEvent, cause: 'restored' },
      ],
    }),
  },
  {
    attack: 'claims of another release than the log’s',
    check: 'slot-claims',
    rule: 'slot-claims',
    bend: () => ({
      claims: (c) => ({ ...c, slots: c.slots.map((slot) => ({ ...slot, release: digestOf('newer release') })) }),
    }),
  },
  ...promiseAttacks,
];
