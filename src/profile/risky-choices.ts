// Choices in a valid profile that a maker should know the price of. None is a fault: a demo or a hospital may want it so.
import type { Profile } from './profile.ts';

export interface RiskyChoice {
  /** The dotted path. */
  readonly field: string;
  readonly message: string;
}

/** Who else extends a PCR that may hold our events (TCG PC Client PFP, and the programs' own documentation). */
const OTHER_USERS: Readonly<Record<number, string>> = {
  8: 'GRUB extends it with every command it runs',
  9: 'GRUB and the EFI stub of Linux extend it with the files they load',
  10: 'IMA extends it while the system runs',
  11: 'systemd-stub and systemd-pcrphase extend it',
  12: 'systemd-stub extends it with command line and credentials',
  13: 'systemd-stub extends it with system extensions',
  14: 'shim extends it with the machine owner’s keys',
  15: 'systemd-pcrmachine and systemd-cryptsetup extend it',
};

const FIRMWARE_PCRS = 8;
const IMA_PCR = 10;
const SECURE_BOOT_PCR = 7;
const HOUR = 3600;
const WEEK = 7 * 86_400;

type Choice = (profile: Profile) => (RiskyChoice | false)[];

const CHOICES: readonly Choice[] = [
  ({ tpm }) => [
    tpm.eventPcr < FIRMWARE_PCRS && {
      field: 'tpm.eventPcr',
      message: 'PCR 0 to 7 belong to the firmware; after its events ours cannot start from zero: use 12 to 14',
    },
    tpm.eventPcr >= FIRMWARE_PCRS && {
      field: 'tpm.eventPcr',
      message: `on some systems PCR ${tpm.eventPcr} is not ours alone: ${OTHER_USERS[tpm.eventPcr] ?? 'it is used'}. It must read zero before the agent’s first start`,
    },
  ],
  ({ tpm }) => [
    tpm.bootPcrs.length === 0 && {
      field: 'tpm.bootPcrs',
      message: 'no boot PCR is quoted: nothing can ever be said of firmware and kernel',
    },
    tpm.bootPcrs.length > 0 &&
      !tpm.bootPcrs.includes(SECURE_BOOT_PCR) && {
        field: 'tpm.bootPcrs',
        message: 'without PCR 7 nobody sees that Secure Boot was switched off or its keys were changed',
      },
    tpm.bootPcrs.includes(IMA_PCR) && {
      field: 'tpm.bootPcrs',
      message: 'PCR 10 changes while the system runs (IMA): it never equals a reference value for long',
    },
  ],
  ({ tpm }) => [
    tpm.ownership === 'shared' && {
      field: 'tpm.ownership',
      message: 'with shared ownership every local user of the TPM can make the same attestation key',
    },
    /^(?:swtpm|mssim|libtpms|cmd)\b/.test(tpm.tcti) && {
      field: 'tpm.tcti',
      message: 'a TPM in software proves nothing about hardware: verdicts stay at warning, assurance A0',
    },
  ],
  ({ slots }) =>
    slots.flatMap((slot, index) => [
      slot.onLeaseExpired === 'continue' && {
        field: `slots.${index}.onLeaseExpired`,
        message: `slot ${slot.name} goes on for ever on a device that was cut off, even when it would have been stopped`,
      },
      typeof slot.commitAfterSeconds === 'number' && {
        field: `slots.${index}.commitAfterSeconds`,
        message: `who hides the controller's word can let a healthy release of slot ${slot.name} commit, though it was to be stopped`,
      },
      (slot.runtimeCommand ?? slot.healthCommand ?? slot.engine) !== undefined &&
        slot.healthUser === undefined && {
          field: `slots.${index}`,
          message: `without healthUser the programs for slot ${slot.name} run with all that the agent may do`,
        },
      slot.breakGlass !== undefined && {
        field: `slots.${index}.breakGlass`,
        message: `somebody at the device can use slot ${slot.name} for ${slot.breakGlass.maxSeconds} s against the controller's word, a withdrawal or a quarantine included`,
      },
      slot.onFailure === 'degraded' && {
        field: `slots.${index}.onFailure`,
        message: `slot ${slot.name} says degraded for a model that was changed: its program must know what to do then`,
      },
      slot.floor === undefined && {
        field: `slots.${index}.floor`,
        message: `without a floor in the TPM an older disk brings older releases of slot ${slot.name} back`,
      },
      !slot.required && {
        field: `slots.${index}.required`,
        message: `nobody is told when slot ${slot.name} holds no model`,
      },
    ]),
  ({ runtime }) => [
    runtime === null && {
      field: 'runtime',
      message: 'the inference runtime is not measured: a changed one runs signed models as it likes, unseen',
    },
  ],
  ({ formats }) => [
    formats === undefined && {
      field: 'formats',
      message: 'any format is installed that a publisher signed, pickles and archives with code among them',
    },
  ],
  ({ maxDetectionSeconds, leaseSeconds, attestEverySeconds }) => [
    maxDetectionSeconds > HOUR && {
      field: 'maxDetectionSeconds',
      message: `a changed model may be in use for ${Math.round(maxDetectionSeconds / HOUR)} hours before anybody knows`,
    },
    leaseSeconds < 3 * attestEverySeconds && {
      field: 'leaseSeconds',
      message: 'less than three times attestEverySeconds: two lost messages end the lease of a healthy device',
    },
    leaseSeconds > WEEK && {
      field: 'leaseSeconds',
      message: `a device that is kept from hearing its verdict goes on for ${Math.round(leaseSeconds / 86_400)} days`,
    },
  ],
];

/** Every risky choice of a profile, in the order of its fields. */
export function riskyChoices(profile: Profile): RiskyChoice[] {
  return CHOICES.flatMap((choice) => choice(profile)).filter((found) => found !== false);
}
