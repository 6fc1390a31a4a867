// The names of firmware events and what each is for: TCG PC Client Platform Firmware Profile 1.05, 10.4.1, table 27.

export const EV_NO_ACTION = 0x03;
export const EV_SEPARATOR = 0x04;
export const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001;
export const EV_EFI_VARIABLE_BOOT2 = 0x8000000c;
export const EV_EFI_VARIABLE_AUTHORITY = 0x800000e0;
export const EV_EVENT_TAG = 0x06;

export interface EventType {
  readonly name: string;
  /** For a person who never read the specification. */
  readonly meaning: string;
}

const TYPES: Readonly<Record<number, EventType>> = {
  0x00: { name: 'EV_PREBOOT_CERT', meaning: 'a certificate used before the boot' },
  0x01: { name: 'EV_POST_CODE', meaning: 'firmware code' },
  [EV_NO_ACTION]: { name: 'EV_NO_ACTION', meaning: 'information only; extended into nothing' },
  [EV_SEPARATOR]: { name: 'EV_SEPARATOR', meaning: 'the end of what the firmware measures into this PCR' },
  0x05: { name: 'EV_ACTION', meaning: 'a step that the firmware took' },
  [EV_EVENT_TAG]: { name: 'EV_EVENT_TAG', meaning: 'a tagged event of an option ROM or the kernel' },
  0x07: { name: 'EV_S_CRTM_CONTENTS', meaning: 'the code that starts all measuring' },
  0x08: { name: 'EV_S_CRTM_VERSION', meaning: 'the version of the code that starts all measuring' },
  0x09: { name: 'EV_CPU_MICROCODE', meaning: 'a microcode update' },
  0x0a: { name: 'EV_PLATFORM_CONFIG_FLAGS', meaning: 'firmware settings' },
  0x0b: { name: 'EV_TABLE_OF_DEVICES', meaning: 'the list of devices' },
  0x0c: { name: 'EV_COMPACT_HASH', meaning: 'a digest that the firmware computed itself' },
  0x0d: { name: 'EV_IPL', meaning: 'code or text of the boot loader' },
  0x0e: { name: 'EV_IPL_PARTITION_DATA', meaning: 'data of the boot loader' },
  0x0f: { name: 'EV_NONHOST_CODE', meaning: 'code of another processor on the board' },
  0x10: { name: 'EV_NONHOST_CONFIG', meaning: 'settings of another processor on the board' },
  0x11: { name: 'EV_NONHOST_INFO', meaning: 'information on another processor on the board' },
  0x12: { name: 'EV_OMIT_BOOT_DEVICE_EVENTS', meaning: 'the firmware leaves out its boot attempts' },
  [EV_EFI_VARIABLE_DRIVER_CONFIG]: {
    name: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
    meaning: 'a firmware variable that says what may run (secure boot)',
  },
  0x80000002: { name: 'EV_EFI_VARIABLE_BOOT', meaning: 'a boot option' },
  0x80000003: {
    name: 'EV_EFI_BOOT_SERVICES_APPLICATION',
    meaning: 'a boot loader or kernel that the firmware started',
  },
  0x80000004: { name: 'EV_EFI_BOOT_SERVICES_DRIVER', meaning: 'a driver from a card' },
  0x80000005: { name: 'EV_EFI_RUNTIME_SERVICES_DRIVER', meaning: 'a driver that stays while the system runs' },
  0x80000006: { name: 'EV_EFI_GPT_EVENT', meaning: 'the partition table of the boot disk' },
  0x80000007: { name: 'EV_EFI_ACTION', meaning: 'a step that the firmware took' },
  0x80000008: { name: 'EV_EFI_PLATFORM_FIRMWARE_BLOB', meaning: 'firmware code' },
  0x80000009: { name: 'EV_EFI_HANDOFF_TABLES', meaning: 'tables handed to the operating system' },
  0x8000000a: { name: 'EV_EFI_PLATFORM_FIRMWARE_BLOB2', meaning: 'firmware code' },
  0x8000000b: { name: 'EV_EFI_HANDOFF_TABLES2', meaning: 'tables handed to the operating system' },
  [EV_EFI_VARIABLE_BOOT2]: { name: 'EV_EFI_VARIABLE_BOOT2', meaning: 'a boot option' },
  0x8000000d: { name: 'EV_EFI_GPT_EVENT2', meaning: 'the partition table of the boot disk' },
  0x80000010: { name: 'EV_EFI_HCRTM_EVENT', meaning: 'the code that hardware measured first' },
  [EV_EFI_VARIABLE_AUTHORITY]: {
    name: 'EV_EFI_VARIABLE_AUTHORITY',
    meaning: 'the certificate or digest by which a program was let run',
  },
  0x800000e1: { name: 'EV_EFI_SPDM_FIRMWARE_BLOB', meaning: 'firmware of a device' },
  0x800000e2: { name: 'EV_EFI_SPDM_FIRMWARE_CONFIG', meaning: 'settings of a device' },
};

/** Never undefined: a number that the specification does not know is named as such. */
export function eventType(type: number): EventType {
  return TYPES[type] ?? { name: `0x${type.toString(16).padStart(8, '0')}`, meaning: 'a type that is not known' };
}

/** What a PCR holds by the same specification, 3.3.4; above 7 by Linux's habit. */
const PCR_USES: readonly string[] = [
  'firmware code',
  'firmware settings',
  'code of cards',
  'settings of cards',
  'boot loader',
  'boot loader settings',
  'board-specific events',
  'secure boot: who may sign what runs',
  'boot loader commands and kernel command line',
  'first file system (initrd) and kernel command line',
  'files that the kernel measured (IMA)',
];

export function pcrUse(pcr: number): string {
  return PCR_USES[pcr] ?? 'events of the operating system';
}
