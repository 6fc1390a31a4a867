// A first profile for a device, from what its maker knows: the boot chain decides the PCRs, the use decides what a failure means.
import { MODEL_FORMATS } from './profile.ts';
import type { ModelFormat, Profile } from './profile.ts';

interface BootChain {
  /** For people who are asked. */
  readonly says: string;
  readonly eventPcr: number;
  readonly bootPcrs: readonly number[];
  readonly why: string;
}

export type BootChainName = 'grub' | 'systemd-stub' | 'u-boot' | 'none';

/** Who extends what: the table in firmware-profiles/README.md. PCR 10 and 11 change while the system runs. */
export const BOOT_CHAINS: Readonly<Record<BootChainName, BootChain>> = {
  grub: {
    says: 'UEFI, shim and GRUB',
    eventPcr: 13,
    bootPcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14],
    why: 'GRUB extends 8 and 9, shim 14: events go to 13, which only systemd-stub uses',
  },
  'systemd-stub': {
    says: 'UEFI and a unified kernel image (systemd-stub)',
    eventPcr: 14,
    bootPcrs: [0, 1, 2, 3, 4, 5, 6, 7, 12],
    why: 'systemd-stub extends 11 to 13: events go to 14, which only shim uses; 11 changes with each boot phase and is left out',
  },
  'u-boot': {
    says: 'U-Boot with measured boot',
    eventPcr: 14,
    bootPcrs: [0, 1, 8, 9],
    why: 'U-Boot extends 0, 1, 8 and 9: events go to 14, which nobody uses there',
  },
  none: {
    says: 'nothing measures the boot',
    eventPcr: 14,
    bootPcrs: [],
    why: 'no boot PCR is quoted, because nobody extends one: assurance stays at A1',
  },
};

export interface NewProfile {
  readonly id: string;
  readonly hardwareClass: string;
  readonly bootChain: BootChainName;
  /** One slot each, named like it. */
  readonly modelIds: readonly string[];
  readonly onFailure: Profile['slots'][number]['onFailure'];
  readonly onLeaseExpired: Profile['slots'][number]['onLeaseExpired'];
  /** How long a device may be without its controller. */
  readonly offlineSeconds: number;
  /** Absolute path, or null. */
  readonly runtime: string | null;
  readonly formats: readonly ModelFormat[];
}

export const NEW_PROFILE: NewProfile = {
  id: 'my-device',
  hardwareClass: 'my-device',
  bootChain: 'grub',
  modelIds: ['main-model'],
  onFailure: 'stop',
  onLeaseExpired: 'stop',
  offlineSeconds: 4 * 3600,
  runtime: null,
  formats: MODEL_FORMATS,
};

const DAY = 86_400;

/** What a model id may be called as a slot: lower case, digits and hyphens. */
function slotName(modelId: string): string {
  const name = modelId
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'main' : name.slice(0, 32);
}

/** Evidence three times in a lease, so that two lost messages harm nobody, and at least daily. */
export function newProfile(answers: NewProfile): Profile {
  const { eventPcr, bootPcrs } = BOOT_CHAINS[answers.bootChain];
  const { onFailure, onLeaseExpired, offlineSeconds } = answers;
  return {
    v: 1,
    id: answers.id,
    hardwareClass: answers.hardwareClass,
    tpm: { tcti: 'auto', bank: 'sha256', eventPcr, bootPcrs, ownership: 'exclusive' },
    slots: answers.modelIds.map((modelId) => ({
      name: slotName(modelId),
      role: slotName(modelId),
      modelIds: [modelId],
      configs: [],
      required: true,
      onFailure,
      onLeaseExpired,
    })),
    runtime: answers.runtime,
    formats: answers.formats,
    maxDetectionSeconds: 120,
    attestEverySeconds: Math.max(1, Math.min(DAY, Math.floor(offlineSeconds / 3))),
    leaseSeconds: offlineSeconds,
  };
}
