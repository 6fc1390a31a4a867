// What a factory line wrote down of its devices' TPMs: `tpm info --json` of one or several, or a table; each entry with its file and line.
import { X509Certificate } from 'node:crypto';
import { readCsv } from '../bytes/csv.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromBase64, fromHex, fromUtf8 } from '../bytes/text.ts';
import { decode } from '../bytes/wire.ts';
import { WireError } from '../errors.ts';
import { jsonFault, jsonLines, lineOf } from '../profile/json-lines.ts';
import { BATCH_MAX } from '../release/batch.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';

/** A device at the line; nothing of it is checked but its form. */
export interface LineEntry {
  /** From 1, in its file. */
  readonly line: number;
  readonly serial: string | null;
  readonly ek: TpmtPublic;
  /** DER. */
  readonly certificate: Buffer | null;
  /** Certificates of authorities between it and a root, DER. */
  readonly chain: readonly Buffer[];
}

export interface LineFault {
  readonly line: number;
  readonly message: string;
}

/** All that can be used, and all that cannot. */
export interface LineList {
  readonly entries: readonly LineEntry[];
  readonly faults: readonly LineFault[];
}

const MAX_BYTES = 64 * 1024 * 1024;
/** As many certificates of authorities as a request for enrolment carries. */
const MAX_CHAIN = 4;
export const LINE_COLUMNS: readonly string[] = ['ek_public', 'certificate'];

interface TpmInfo {
  readonly serial?: string;
  readonly endorsementKey: { readonly refused: string } | { readonly template: string; readonly public: string };
  readonly certificates: readonly { readonly template: string; readonly pem: string | null }[];
  readonly chain?: readonly (string | null)[];
}

const pem = v.pipe(v.string(), v.maxLength(16_384));
/** What is used of `tpm info --json`, and the serial number that a line may have added. */
const tpmInfoShape: Shape<TpmInfo> = v.object({
  serial: v.exactOptional(text(64)),
  endorsementKey: v.union([
    v.object({ refused: v.string() }),
    v.object({ template: text(16), public: v.pipe(v.string(), v.maxLength(2048)) }),
  ]),
  certificates: v.pipe(v.array(v.object({ template: text(16), pem: v.nullable(pem) })), v.maxLength(16)),
  chain: v.exactOptional(v.pipe(v.array(v.nullable(pem)), v.maxLength(MAX_CHAIN))),
});

/** TPMT_PUBLIC, or TPM2B_PUBLIC as tpm2-tools write it. Errors: WireError. */
function ekOf(bytes: Buffer): TpmtPublic {
  const sized = bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2;
  return decode(TpmtPublic, sized ? bytes.subarray(2) : bytes, 'ek_public');
}

function derOf(certificate: string): Buffer {
  try {
    return Buffer.from(new X509Certificate(certificate).raw);
  } catch {
    throw new WireError('WIRE_MALFORMED', 'a certificate that cannot be read', { field: 'certificates', offset: 0 });
  }
}

function ofTpmInfo(info: TpmInfo, serial: string | null): Omit<LineEntry, 'line'> {
  const { endorsementKey: ek, certificates, chain = [] } = info;
  if ('refused' in ek) {
    throw new WireError('WIRE_RANGE', `the TPM gave no endorsement key: ${ek.refused}`, {
      field: 'endorsementKey',
      offset: 0,
    });
  }
  const own = certificates.find(({ template }) => template === ek.template)?.pem ?? null;
  return {
    serial: info.serial ?? serial,
    ek: ekOf(fromHex(ek.public)),
    certificate: own === null ? null : derOf(own),
    chain: chain.filter((one) => one !== null).map(derOf),
  };
}

/** What `make` gives, or its fault on this line. */
function take(
  list: { entries: LineEntry[]; faults: LineFault[] },
  line: number,
  make: () => Omit<LineEntry, 'line'>,
): void {
  try {
    list.entries.push({ line, ...make() });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    list.faults.push({ line, message: error.message });
  }
}

function readJson(bytes: Uint8Array, serial: string | null): LineList {
  let json: unknown;
  try {
    json = parseJsonStrict(bytes, { maxBytes: MAX_BYTES, maxDepth: 8 });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { entries: [], faults: [jsonFault(bytes, error)] };
  }
  const lines = jsonLines(fromUtf8(bytes));
  const list = { entries: [] as LineEntry[], faults: [] as LineFault[] };
  const several = Array.isArray(json);
  for (const [at, one] of (several ? (json as unknown[]) : [json]).entries()) {
    const parsed = v.safeParse(tpmInfoShape, one);
    const place = several ? `${at}` : '';
    if (parsed.success) take(list, lineOf(lines, place), () => ofTpmInfo(parsed.output, several ? null : serial));
    else {
      for (const issue of parsed.issues.slice(0, 4)) {
        const field = v.getDotPath(issue) ?? '';
        const path = [place, field].filter((part) => part !== '').join('.');
        list.faults.push({ line: lineOf(lines, path), message: `${field || 'value'}: ${issue.message}` });
      }
    }
  }
  return list;
}

/** Hex, or base64. Errors: WireError. */
function bytesIn(cell: string): Buffer {
  return /^(?:[0-9a-f]{2})+$/u.test(cell) ? fromHex(cell) : fromBase64(cell);
}

function readTable(bytes: Uint8Array): LineList {
  const list = { entries: [] as LineEntry[], faults: [] as LineFault[] };
  const rows = readCsv(bytes, LINE_COLUMNS, { maxBytes: MAX_BYTES, maxRows: BATCH_MAX });
  for (const { line, cells } of rows) {
    take(list, line, () => {
      const cell = (name: string): string => cells.get(name) ?? '';
      const [serial, certificate] = [cell('serial'), cell('certificate')];
      const chain = cell('chain')
        .split(' ')
        .filter((one) => one !== '');
      if (!v.safeParse(text(64), serial === '' ? '-' : serial).success || chain.length > MAX_CHAIN) {
        const message = `a serial is at most 64 characters of one line, and a chain ${MAX_CHAIN} certificates`;
        throw new WireError('WIRE_LIMIT', message, { field: 'serial, chain', offset: 0 });
      }
      return {
        serial: serial === '' ? null : serial,
        ek: ekOf(bytesIn(cell('ek_public'))),
        certificate: certificate === '' ? null : bytesIn(certificate),
        chain: chain.map(bytesIn),
      };
    });
  }
  return list;
}

/** `serial`: of the one device of a file that names none. Never throws for what the bytes are. */
export function readLineList(bytes: Uint8Array, serial: string | null): LineList {
  const first = Buffer.from(bytes.subarray(0, 64)).toString('latin1').replace(/^ï»¿/u, '').trimStart()[0];
  if (first === '{' || first === '[') return readJson(bytes, serial);
  try {
    return readTable(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return {
      entries: [],
      faults: [{ line: Number(/^line (\d+)$/u.exec(error.field)?.[1] ?? 1), message: error.message }],
    };
  }
}
