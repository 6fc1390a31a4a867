// What a slot may be used for: measurement first, lease second, and a status file that ends by itself.
import { describe, expect, it } from 'vitest';
import { NO_GLASS } from '../../src/agent/glass.ts';
import { claimState, slotState } from '../../src/agent/slot-policy.ts';
import type { Word } from '../../src/agent/slot-policy.ts';
import { judgeSlot } from '../../src/agent/status.ts';
import type { AgentStatus, SlotStatus } from '../../src/agent/status.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';

const slot = (changes: Partial<SlotProfile> = {}): SlotProfile => ({
  name: 'detector',
  role: 'detector',
  modelIds: ['m'],
  configs: [],
  required: true,
  onFailure: 'stop',
  onLeaseExpired: 'stop',
  ...changes,
});
const running: Word = { lease: { state: 'running', leftMs: 1000, status: 'affirming' }, glasses: NO_GLASS };
const expired: Word = { lease: { state: 'expired', sinceMs: 1, status: 'affirming' }, glasses: NO_GLASS };
const broken: Word = { ...expired, glasses: new Map([['detector', { leftMs: 500, reason: 'theatre 2' }]]) };

describe('slot policy', () => {
  it('lets a model be loaded that is as signed and whose lease runs', () => {
    expect(slotState(slot(), 'as-signed', running).use).toBe('ready');
  });

  it('stops what lacks its engine, and takes one that was altered for an altered model', () => {
    const of = (altered: boolean, onFailure: SlotProfile['onFailure'] = 'stop'): string => {
      const stage = { trial: null, needs: null, engine: { why: 'its engine', altered } };
      return slotState(slot({ onFailure, onLeaseExpired: 'continue' }), 'as-signed', running, stage).use;
    };
    expect([of(false), of(true), of(true, 'degraded'), of(false, 'degraded')]).toEqual([
      'stopped',
      'stopped',
      'degraded',
      'stopped',
    ]);
  });

  it.each([
    ['stop', 'stopped'],
    ['degraded', 'degraded'],
    ['last-good', 'stopped'],
  ] as const)('on an altered model, %s makes it %s however the lease stands', (onFailure, use) => {
    expect(slotState(slot({ onFailure, onLeaseExpired: 'continue' }), 'altered', running).use).toBe(use);
  });

  it.each([
    ['continue', 'ready'],
    ['degraded', 'degraded'],
    ['stop', 'stopped'],
  ] as const)('on an expired, void or missing lease, %s makes it %s', (onLeaseExpired, use) => {
    for (const lease of [expired.lease, { state: 'none' }, { state: 'void', why: 'x' }] as const) {
      expect(slotState(slot({ onLeaseExpired }), 'as-signed', { ...expired, lease }).use).toBe(use);
    }
  });

  it.each(['stop', 'degraded'] as const)('under break-glass it may be loaded where an expired lease says %s', (on) => {
    const state = slotState(slot({ onLeaseExpired: on }), 'as-signed', broken);
    expect(state).toMatchObject({ use: 'break-glass', vouchable: true });
    expect(state.why).toContain('theatre 2');
    expect(claimState(state)).toBe('active');
  });

  it('a glass of another slot changes nothing', () => {
    expect(slotState(slot({ name: 'other' }), 'as-signed', broken).use).toBe('stopped');
  });

  it.each([
    ['altered', 'altered', undefined],
    ['missing', 'empty', undefined],
    ['not yet healthy', 'as-signed', { trial: 'health', needs: null }],
    ['below its version floor', 'empty', { trial: null, needs: 3n }],
  ] as const)('break-glass loads no model that is %s', (_title, found, stage) => {
    expect(slotState(slot(), found, broken, stage)).toMatchObject({ use: 'stopped', vouchable: false });
  });

  it('never loads an empty slot', () => {
    const state = slotState(slot({ onLeaseExpired: 'continue' }), 'empty', running);
    expect(state.use).toBe('stopped');
    expect(claimState(state)).toBe('empty');
  });

  it('claims altered for what was altered and stopped for what only the lease stops', () => {
    expect(claimState(slotState(slot(), 'altered', running))).toBe('altered');
    expect(claimState(slotState(slot(), 'as-signed', expired))).toBe('stopped');
  });
});

describe('the status file', () => {
  const row: SlotStatus = {
    slot: 'detector',
    use: 'ready',
    why: 'measured',
    release: 'r',
    version: '1',
    leaseUntil: 5000,
    afterLease: 'stopped',
  };
  const status: AgentStatus = {
    v: 1,
    bootId: 'b',
    writtenAt: 0,
    validUntil: 10_000,
    deviceId: 'd',
    fleetId: 'f',
    agent: '1',
    verdict: 'affirming',
    slots: [row],
  };

  it('is believed while the lease runs and the agent measures', () => {
    expect(judgeSlot(status, row, { bootId: 'b', uptime: 4000 })).toMatchObject({ trusted: true, leaseLeft: 1000 });
  });

  it('says that break-glass is trusted, as such, and for how long', () => {
    const glass = { ...row, use: 'break-glass' as const };
    expect(judgeSlot(status, glass, { bootId: 'b', uptime: 4000 })).toMatchObject({
      trusted: true,
      use: 'break-glass',
    });
    expect(judgeSlot(status, glass, { bootId: 'b', uptime: 5000 })).toMatchObject({
      trusted: false,
      why: 'the time of break-glass is over',
    });
  });

  it.each([
    ['the lease ran out while the agent was dead', { bootId: 'b', uptime: 5000 }, row],
    ['nobody measures any more', { bootId: 'b', uptime: 10_001 }, { ...row, leaseUntil: null }],
    ['it is of an earlier boot', { bootId: 'c', uptime: 1 }, row],
    ['the slot is degraded', { bootId: 'b', uptime: 1 }, { ...row, use: 'degraded' as const }],
  ])('is not believed when %s', (_title, now, slotRow) => {
    expect(judgeSlot(status, slotRow, now).trusted).toBe(false);
  });
});
