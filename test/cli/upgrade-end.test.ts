// How an upgrade ended, as the command reads it from what the controller says of the device.
import { describe, expect, it } from 'vitest';
import { upgradeState } from '../../src/cli/upgrade-end.ts';
import type { DeviceDetail } from '../../src/controller/views.ts';

const given = { device: 'd', command: 'c', slot: 'main', release: 'aa'.repeat(32) };

interface Change {
  readonly outcome?: object;
  readonly release?: string;
  readonly status?: 'affirming' | 'warning' | 'contraindicated' | 'none';
  readonly state?: DeviceDetail['state'];
  readonly online?: boolean;
}

function device({
  outcome,
  release = 'bb'.repeat(32),
  status = 'affirming',
  state = 'approved',
  online = true,
}: Change) {
  const finding = {
    rule: 'model-bytes',
    status,
    subject: 'main',
    expected: 'x',
    found: 'y',
    source: 'z',
    demands: '',
    now: '',
  };
  const detail: DeviceDetail = {
    id: 'd',
    label: 'L',
    state,
    condition: 'trusted',
    now: '',
    profile: 'p',
    tier: 'hardware',
    tpm: null,
    online,
    lastSeen: 1,
    verdict: { status, assurance: 'A1', at: 1, until: 2, findings: status === 'affirming' ? [] : [finding as never] },
    trouble: null,
    floors: [],
    floorsCertified: false,
    floorRequest: null,
    escrow: null,
    slots: [{ slot: 'main', release, version: '2', state: 'active', status, plannedChange: null }],
    generation: 1,
    endorsement: null,
    enrolment: null,
    commands: [{ id: 'c', createdAt: 1, body: {}, outcome: outcome ?? null }],
    history: [],
  };
  return detail;
}

const done = { kind: 'activated', rule: 'done', detail: 'runs' };

describe('an upgrade', () => {
  it.each<[string, string | null, Change]>([
    ['under-way', null, {}],
    ['under-way', null, { online: false }],
    ['under-way', null, { outcome: done }],
    ['attested', null, { outcome: done, release: given.release }],
    ['attested', null, { outcome: done, release: given.release, status: 'warning' }],
    ['attested', null, { outcome: { ...done, kind: 'command' }, release: given.release }],
    ['untrusted', 'model-bytes', { outcome: done, release: given.release, status: 'contraindicated' }],
    ['untrusted', 'model-bytes', { outcome: done, release: given.release, status: 'none' }],
    ['refused', 'release-older', { outcome: { kind: 'refused', rule: 'release-older', detail: '' } }],
    ['rolled-back', 'trial', { outcome: { kind: 'rolled-back', rule: 'trial', detail: '' }, release: given.release }],
    ['superseded', 'superseded-order', { outcome: { kind: 'command', rule: 'superseded-order', detail: '' } }],
    ['failed', 'failed', { outcome: { kind: 'command', rule: 'failed', detail: '' } }],
    ['failed', 'interrupted', { outcome: { kind: 'interrupted', rule: 'interrupted', detail: '' } }],
    ['attested', null, { outcome: { kind: 'interrupted', rule: 'interrupted', detail: '' }, release: given.release }],
    ['failed', null, { state: 'retired' }],
  ])('is %s (%s) when the controller says %j', (end, rule, change) => {
    expect(upgradeState(device(change), given)).toMatchObject({ ...given, label: 'L', end, rule });
  });

  it('that is attested is on trial no more, whatever was reported when the trial began', () => {
    const outcome = { ...done, detail: 'release aaaaaaaaaaaa is in slot main, on trial' };
    const { detail } = upgradeState(device({ outcome, release: given.release }), given);
    expect(detail).toBe('release aaaaaaaaaaaa is in slot main; proven by its TPM, verdict affirming');
  });
});
