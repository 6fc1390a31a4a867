// Writes firmware logs and kernel lists as firmware and kernel do, and as an attacker would.
import { createHash } from 'node:crypto';

export const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
};
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
export const u64 = (value: number): Buffer => Buffer.concat([u32(value), u32(0)]);
export const sized = (...parts: readonly Uint8Array[]): Buffer => {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u32(bytes.length), bytes]);
};

export const EV = {
  noAction: 3,
  separator: 4,
  action: 5,
  crtmVersion: 8,
  variable: 0x80000001,
  application: 0x80000003,
  authority: 0x800000e0,
} as const;

/** What `work` throws; null: nothing. */
export function thrownBy(work: () => unknown): unknown {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
}

/** TCG_PCR_EVENT with TCG_EfiSpecIDEvent. */
export function header(
  algorithms: readonly (readonly [number, number])[] = [[0x0b, 32]],
  vendor: Uint8Array = new Uint8Array(),
): Buffer {
  const list = algorithms.map(([algorithm, size]) => Buffer.concat([u16(algorithm), u16(size)]));
  const specId = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    Buffer.from([0, 0, 0, 0, 0, 2, 0, 2]),
    u32(algorithms.length),
    ...list,
    Buffer.from([vendor.length]),
    vendor,
  ]);
  return Buffer.concat([u32(0), u32(EV.noAction), Buffer.alloc(20), sized(specId)]);
}

export interface EventParts {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** SHA-256 of the data by default. */
  readonly digest?: Uint8Array;
}

/** TCG_PCR_EVENT2 with one SHA-256 digest. */
export function event({ pcr, type, data, digest = sha256(data) }: EventParts): Buffer {
  return Buffer.concat([u32(pcr), u32(type), u32(1), u16(0x0b), digest, sized(data)]);
}

export function firmwareLog(...events: readonly EventParts[]): Buffer {
  return Buffer.concat([header(), ...events.map((parts) => event(parts))]);
}

const GLOBAL_VARIABLE = Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex');

/** UEFI_VARIABLE_DATA of the global vendor. */
export function variable(name: string, data: Uint8Array): Buffer {
  return Buffer.concat([GLOBAL_VARIABLE, u64(name.length), u64(data.length), Buffer.from(name, 'utf16le'), data]);
}

export const separator = (pcr: number): EventParts => ({ pcr, type: EV.separator, data: Buffer.alloc(4) });
export const secureBoot = (on: boolean): EventParts => ({
  pcr: 7,
  type: EV.variable,
  data: variable('SecureBoot', Buffer.from([on ? 1 : 0])),
});

/** A boot as UEFI firmware logs it: version, secure boot, separators, a kernel whose device path is not what was hashed. */
export const HONEST: readonly EventParts[] = [
  { pcr: 0, type: EV.crtmVersion, data: Buffer.from('1.0\0', 'utf16le') },
  secureBoot(true),
  separator(7),
  { pcr: 4, type: EV.action, data: Buffer.from('Calling EFI Application from Boot Option') },
  ...[0, 1, 2, 3, 4, 5, 6].map((pcr) => separator(pcr)),
  { pcr: 4, type: EV.application, data: Buffer.from('path of the kernel'), digest: sha256(Buffer.from('kernel')) },
  {
    pcr: 9,
    type: 6,
    data: Buffer.concat([u32(0), u32(5), Buffer.from('initrd')]),
    digest: sha256(Buffer.from('initrd')),
  },
];

export interface ImaParts {
  readonly template?: string;
  readonly path: string;
  readonly content?: string;
  readonly violation?: boolean;
  readonly signature?: Uint8Array;
}

function imaData({ template = 'ima-sig', path, content = path, violation, signature }: ImaParts): Buffer {
  const digest = violation === true ? Buffer.alloc(32) : sha256(Buffer.from(content));
  return Buffer.concat([
    sized(Buffer.from('sha256:\0'), digest),
    sized(Buffer.from(`${path}\0`)),
    ...(template === 'ima-ng' ? [] : [sized(signature ?? Buffer.alloc(0))]),
  ]);
}

const listed = (parts: ImaParts): Buffer =>
  parts.violation === true ? Buffer.alloc(20) : createHash('sha1').update(imaData(parts)).digest();

export function imaBinary(...records: readonly ImaParts[]): Buffer {
  return Buffer.concat(
    records.flatMap((parts) => [
      u32(10),
      listed(parts),
      sized(Buffer.from(parts.template ?? 'ima-sig')),
      sized(imaData(parts)),
    ]),
  );
}

export function imaAscii(...records: readonly ImaParts[]): Buffer {
  const lines = records.map((parts) => {
    const digest = parts.violation === true ? Buffer.alloc(32) : sha256(Buffer.from(parts.content ?? parts.path));
    const { template = 'ima-sig', path, signature = Buffer.alloc(0) } = parts;
    const tail = template === 'ima-ng' ? '' : ` ${Buffer.from(signature).toString('hex')}`;
    return `10 ${listed(parts).toString('hex')} ${template} sha256:${digest.toString('hex')} ${path}${tail}\n`;
  });
  return Buffer.from(lines.join(''));
}

/** PCR 10 after these records. */
export function imaPcr(...records: readonly ImaParts[]): Buffer {
  let value: Buffer = Buffer.alloc(32);
  for (const parts of records) {
    value = sha256(value, parts.violation === true ? Buffer.alloc(32, 0xff) : sha256(imaData(parts)));
  }
  return value;
}
