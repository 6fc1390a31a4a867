// Risky choices: each is named where it is made, and a cautious profile has none but its event PCR's neighbours.
import { describe, expect, it } from 'vitest';
import type { Profile } from '../../src/profile/profile.ts';
import { riskyChoices } from '../../src/profile/risky-choices.ts';

const cautious: Profile = {
  v: 1,
  id: 'cautious',
  hardwareClass: 'cam',
  tpm: { tcti: 'auto', bank: 'sha256', eventPcr: 12, bootPcrs: [0, 7], ownership: 'exclusive' },
  slots: [
    {
      name: 'main',
      role: 'main',
      modelIds: ['m'],
      configs: [],
      required: true,
      onFailure: 'stop',
      onLeaseExpired: 'stop',
      floor: 0,
    },
  ],
  runtime: '/opt/runtime',
  formats: ['onnx'],
  maxDetectionSeconds: 60,
  attestEverySeconds: 600,
  leaseSeconds: 86_400,
};

const fieldsOf = (profile: Profile): string[] => riskyChoices(profile).map((choice) => choice.field);
const withTpm = (change: Partial<Profile['tpm']>): Profile => ({ ...cautious, tpm: { ...cautious.tpm, ...change } });
const { formats: _formats, ...anyFormat } = cautious;
const withoutFloor: Profile = { ...cautious, slots: cautious.slots.map(({ floor: _floor, ...slot }) => slot) };
const withSlot = (change: Partial<Profile['slots'][number]>): Profile => ({
  ...cautious,
  slots: cautious.slots.map((slot) => ({ ...slot, ...change })),
});

describe('a risky choice', () => {
  it('is not seen in a cautious profile, but for who else may use the event PCR', () => {
    expect(fieldsOf(cautious)).toEqual(['tpm.eventPcr']);
  });

  it.each([
    ['a PCR of the firmware for events', withTpm({ eventPcr: 1 }), 'tpm.eventPcr', /belong to the firmware/],
    ['the PCR of IMA for events', withTpm({ eventPcr: 10 }), 'tpm.eventPcr', /IMA/],
    ['the PCR of shim for events', withTpm({ eventPcr: 14 }), 'tpm.eventPcr', /shim/],
    ['no boot PCR', withTpm({ bootPcrs: [] }), 'tpm.bootPcrs', /no boot PCR/],
    ['no Secure Boot PCR', withTpm({ bootPcrs: [0] }), 'tpm.bootPcrs', /without PCR 7/],
    ['a boot PCR that grows while running', withTpm({ bootPcrs: [0, 7, 10] }), 'tpm.bootPcrs', /PCR 10 changes/],
    ['no floor in the TPM', withoutFloor, 'slots.0.floor', /older disk/],
    ['a commitment by time', withSlot({ commitAfterSeconds: 60 }), 'slots.0.commitAfterSeconds', /hides/],
    ['a health check as the agent', withSlot({ healthCommand: ['/bin/true'] }), 'slots.0', /healthUser/],
    ['shared ownership', withTpm({ ownership: 'shared' }), 'tpm.ownership', /every local user/],
    ['a software TPM', withTpm({ tcti: 'swtpm:path=/run/x' }), 'tpm.tcti', /A0/],
    ['a slot that outlives its lease', withSlot({ onLeaseExpired: 'continue' }), 'slots.0.onLeaseExpired', /for ever/],
    ['a slot that goes on when changed', withSlot({ onFailure: 'degraded' }), 'slots.0.onFailure', /degraded/],
    ['a slot that may be empty', withSlot({ required: false }), 'slots.0.required', /no model/],
    ['a runtime that nobody measures', { ...cautious, runtime: null }, 'runtime', /not measured/],
    ['any format', anyFormat, 'formats', /pickles/],
    ['slow detection', { ...cautious, maxDetectionSeconds: 7200 }, 'maxDetectionSeconds', /2 hours/],
    ['a short lease', { ...cautious, leaseSeconds: 1200 }, 'leaseSeconds', /two lost messages/],
    ['a long lease', { ...cautious, leaseSeconds: 30 * 86_400 }, 'leaseSeconds', /30 days/],
  ])('is named where it is made: %s', (_title, profile, field, words) => {
    const found = riskyChoices(profile).filter((choice) => choice.field === field);
    expect(found.map((choice) => choice.message)).toEqual([expect.stringMatching(words)]);
  });
});
