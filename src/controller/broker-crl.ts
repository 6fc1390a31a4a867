// The list of broker certificates that count no more, as the broker reads it: written whole or not at all, and only ever newer.
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { makeRevocationList } from '../crypto/certificates.ts';
import { readCrlFile } from '../crypto/crl.ts';
import { WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';

const DAY_MS = 86_400_000;
/**
 * How long a list counts. Its age proves nothing, because it is a file that we write ourselves; and a broker refuses the whole fleet by
 * a list that has run out.
 */
const LIST_DAYS = 10 * 365;
/** The broker's clock may be behind ours: a list of tomorrow refuses everybody, too. */
const BEHIND_MS = DAY_MS;

/** When a list of `now` begins and ends, in ms since 1970. */
export function crlTimes(now: number): { readonly thisUpdate: number; readonly nextUpdate: number } {
  return { thisUpdate: now - BEHIND_MS, nextUpdate: now + LIST_DAYS * DAY_MS };
}

/** Where the list is written: `brokerCrl` of controller.json, or a file of the state directory. */
export function crlPath(stateDir: string, brokerCrl: string | undefined): string {
  const path = brokerCrl ?? 'revoked.crl.pem';
  return isAbsolute(path) ? path : join(stateDir, path);
}

interface Written {
  readonly thisUpdate: number;
  readonly revoked: ReadonlySet<string>;
}

/** The list that is there; null where there is none, or it is damaged. */
async function written(path: string): Promise<Written | null> {
  try {
    return readCrlFile(await readFile(path))[0] ?? null;
  } catch (error) {
    if (error instanceof WireError || (error instanceof Error && 'syscall' in error)) return null;
    throw error;
  }
}

/** A serial number as a list holds it. */
function inList(serial: string): string {
  const even = serial.length % 2 === 0 ? serial : `0${serial}`;
  return (Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even).toLowerCase();
}

/**
 * Writes the list when it says something else than the one that is there. True when it did: the broker has to read it. Errors: of the
 * file system.
 */
export async function writeBrokerCrl(
  path: string,
  revoked: readonly string[],
  authority: { readonly commonName: string; readonly key: KeyObject },
  now: number,
): Promise<boolean> {
  const before = await written(path);
  const serials = new Set(revoked.map(inList));
  if (before !== null && before.revoked.size === serials.size && [...before.revoked].every((one) => serials.has(one)))
    return false;
  const times = crlTimes(now);
  // Of two lists OpenSSL believes the one that began later, to the second.
  const thisUpdate = Math.max(times.thisUpdate, (before?.thisUpdate ?? 0) + 1000);
  const list = { ...times, thisUpdate, number: Math.floor(thisUpdate / 1000), revoked };
  await writeFileDurably(path, makeRevocationList(list, authority), 0o644);
  return true;
}
