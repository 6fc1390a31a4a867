// A firmware log in words: what each event is, whether its data is what was measured, and whether secure boot was on.
import { toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import { countSignatures, readEfiVariable } from './efi-variable.ts';
import type { EfiVariable } from './efi-variable.ts';
import type { FirmwareEvent, FirmwareLog } from './event-log.ts';
import {
  EV_EFI_VARIABLE_AUTHORITY,
  EV_EFI_VARIABLE_BOOT2,
  EV_EFI_VARIABLE_DRIVER_CONFIG,
  EV_EVENT_TAG,
  EV_NO_ACTION,
  EV_SEPARATOR,
  eventType,
} from './event-types.ts';

/** For people. Nothing here is proof of more than: this digest went into this PCR at this place. */
export interface ExplainedEvent {
  readonly index: number;
  readonly pcr: number;
  /** UNTRUSTED, like the type it names. */
  readonly type: string;
  readonly meaning: string;
  /** Words from the event's data; may hold any character. UNTRUSTED where `bound` is false. */
  readonly detail: string;
  /** True where the extended digest is SHA-256 of exactly the data, so that the data cannot have been changed since. */
  readonly bound: boolean;
  /** Whether the firmware had closed this PCR (a separator) before: later events come from what it started. */
  readonly afterSeparator: boolean;
}

/** True where the digest that went into the PCR is the digest of the event's data. The type stays untrusted even then. */
export function dataIsBound({ type, digest, data }: FirmwareEvent): boolean {
  return type !== EV_NO_ACTION && sha256(data).equals(digest);
}

/** What the firmware extends when it closes a PCR: four bytes that tell nothing else than that there was no error. */
const SEPARATORS: ReadonlySet<string> = new Set(
  [Buffer.alloc(4), Buffer.alloc(4, 0xff)].map((data) => toHex(sha256(data))),
);

/** By the digest alone: type and data of a separator may have been changed to hide it. */
export function isSeparator({ type, digest }: FirmwareEvent): boolean {
  return type !== EV_NO_ACTION && SEPARATORS.has(toHex(digest));
}

const MAX_DETAIL = 160;

/** Data that is text, as ASCII or UTF-16; else its size. */
function asText(data: Buffer): string {
  const trimmed = data.toString('latin1').replace(/\0+$/, '');
  if (/^[\x20-\x7e]{2,}$/.test(trimmed)) return trimmed.slice(0, MAX_DETAIL);
  const wide = data.length % 2 === 0 ? data.toString('utf16le').replace(/\0+$/, '') : '';
  if (/^[\x20-\x7e]{2,}$/.test(wide)) return wide.slice(0, MAX_DETAIL);
  return `${data.length} bytes`;
}

function variableWords({ name, data }: EfiVariable): string {
  if (['SecureBoot', 'AuditMode', 'DeployedMode', 'SetupMode'].includes(name) && data.length === 1) {
    return `${name} = ${data[0] === 1 ? 'on' : 'off'}`;
  }
  if (['PK', 'KEK', 'db', 'dbx', 'dbt', 'dbr'].includes(name)) {
    const { certificates, digests } = countSignatures(data);
    return `${name}: ${certificates} certificates, ${digests} digests`;
  }
  return `${name} (${data.length} bytes)`;
}

function detailOf({ type, data }: FirmwareEvent): string {
  try {
    switch (type) {
      case EV_EFI_VARIABLE_DRIVER_CONFIG:
        return variableWords(readEfiVariable(data));
      case EV_EFI_VARIABLE_BOOT2:
      case EV_EFI_VARIABLE_AUTHORITY: {
        const variable = readEfiVariable(data);
        return `${variable.name} (${variable.data.length} bytes)`;
      }
      case EV_EVENT_TAG:
        // Tag ID, size, then what was tagged.
        return asText(data.subarray(8));
      case EV_SEPARATOR:
        return `0x${data.subarray(0, 8).toString('hex')}`;
      default:
        return asText(data);
    }
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    return `${data.length} bytes that are not of their type's form: ${cause.message}`;
  }
}

/** Every event in the order of the log. */
export function explainFirmwareLog({ events }: FirmwareLog): ExplainedEvent[] {
  const closed = new Set<number>();
  return events.map((event) => {
    const { name, meaning } = eventType(event.type);
    const afterSeparator = closed.has(event.pcr);
    if (isSeparator(event)) closed.add(event.pcr);
    const { index, pcr } = event;
    return { index, pcr, type: name, meaning, detail: detailOf(event), bound: dataIsBound(event), afterSeparator };
  });
}

/** `unclear`: nothing before the separator says so, or two things contradict each other. */
export type SecureBoot = 'on' | 'off' | 'unclear';

/** What firmware extends into PCR 7 for the variable SecureBoot: UEFI_VARIABLE_DATA of EFI_GLOBAL_VARIABLE with one byte. */
function secureBootDigest(value: 0 | 1): string {
  const name = Buffer.from('SecureBoot', 'utf16le');
  const lengths = Buffer.alloc(16);
  lengths.writeUInt32LE(name.length / 2, 0);
  lengths.writeUInt32LE(1, 8);
  const vendor = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex');
  return toHex(sha256(vendor, lengths, name, Buffer.from([value])));
}

const SECURE_BOOT_ON = secureBootDigest(1);
const SECURE_BOOT_OFF = secureBootDigest(0);

/**
 * Whether the firmware checked signatures. Read from digests alone, because whoever writes the log can give the event that says
 * "off" another type or other data. Only what comes before the first separator of PCR 7 counts: what comes later may have been
 * extended by whatever was started. True only of a log whose replay gave the quoted PCR 7.
 */
export function secureBootOf({ events }: FirmwareLog): SecureBoot {
  const own = events.filter(({ pcr, type }) => pcr === 7 && type !== EV_NO_ACTION);
  const end = own.findIndex((event) => isSeparator(event));
  if (end === -1) return 'unclear';
  const told = new Set(own.slice(0, end).map(({ digest }) => toHex(digest)));
  const [on, off] = [told.has(SECURE_BOOT_ON), told.has(SECURE_BOOT_OFF)];
  if (on === off) return 'unclear';
  return on ? 'on' : 'off';
}
