// PCR values as a person saves them: `tpm2_pcrread sha256:…`, or lines of number and value from /sys/class/tpm/tpm0/pcr-sha256.
import { WireError } from '../errors.ts';
import { fromUtf8 } from '../bytes/text.ts';
import type { PcrValues } from './pcr-replay.ts';

const MAX_BYTES = 16 * 1024;
const LINE = /^\s*(\d{1,2})\s*[: ]\s*(?:0x)?([0-9a-fA-F]{64})\s*$/;
/** The heading of a bank, and nothing else. */
const BANK = /^\s*(?:sha256\s*:)?\s*$/;

function fail(message: string, line: number): never {
  throw new WireError('WIRE_MALFORMED', message, { field: `line ${line}`, offset: 0 });
}

/** Reads values of the SHA-256 bank; a line of anything else, another bank among it, is refused. Errors: WireError. */
export function readPcrValues(bytes: Uint8Array): PcrValues {
  if (bytes.length > MAX_BYTES) fail(`${bytes.length} bytes, at most ${MAX_BYTES}`, 1);
  const values = new Map<number, Buffer>();
  for (const [index, line] of fromUtf8(bytes).split('\n').entries()) {
    if (BANK.test(line)) continue;
    const match = LINE.exec(line);
    const pcr = Number(match?.[1] ?? 24);
    if (match === null || pcr > 23) fail('not a PCR of the SHA-256 bank and its value', index + 1);
    if (values.has(pcr)) fail(`PCR ${pcr} twice`, index + 1);
    values.set(pcr, Buffer.from(match[2] ?? '', 'hex'));
  }
  if (values.size === 0) fail('no PCR value', 1);
  return values;
}
