// A firmware log in words: what each event is, whether its data is what was measured, and whether secure boot was on.
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

/** The separator of a PCR: its data tells nothing else than that there was no error. */
export function isSeparator(event: FirmwareEvent): boolean {
  const { type, data } = event;
  if (type !== EV_SEPARATOR || data.length !== 4 || !dataIsBound(event)) return false;
  return data.equals(Buffer.alloc(4)) || data.equals(Buffer.alloc(4, 0xff));
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

/** `unclear`: no bound variable says so, or two contradict each other. */
export type SecureBoot = 'on' | 'off' | 'unclear';

const EFI_GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/**
 * Whether the firmware checked signatures. Only what it measured into PCR 7 itself counts: bound data, before the separator,
 * which must be there; what comes later may have been written by whatever was started. True only of a log whose replay gave
 * the quoted PCR 7.
 */
export function secureBootOf({ events }: FirmwareLog): SecureBoot {
  const own = events.filter(({ pcr }) => pcr === 7);
  const end = own.findIndex((event) => isSeparator(event));
  if (end === -1) return 'unclear';
  const told = new Set<number | undefined>();
  for (const event of own.slice(0, end)) {
    if (event.type !== EV_EFI_VARIABLE_DRIVER_CONFIG || !dataIsBound(event)) continue;
    try {
      const { vendor, name, data } = readEfiVariable(event.data);
      if (vendor === EFI_GLOBAL && name === 'SecureBoot') told.add(data.length > 1 ? undefined : (data[0] ?? 0));
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      return 'unclear';
    }
  }
  if (told.size !== 1) return 'unclear';
  const [value] = told;
  if (value === 1) return 'on';
  return value === 0 ? 'off' : 'unclear';
}
