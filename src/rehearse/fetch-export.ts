// Gets a fleet export from a file or over https, whole and bounded.
import { readFile } from 'node:fs/promises';
import { systemClock } from '../clock.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { Pace, pieces } from '../transfer/body.ts';
import { TRANSFER_LIMITS } from '../transfer/limits.ts';
import { isWebSource } from '../transfer/source-url.ts';
import { Web } from '../transfer/web.ts';
import { MAX_EXPORT_BYTES } from './fleet-export.ts';

/**
 * Who serves it is believed as to what the fleet is: https alone, by the authorities of Node (NODE_EXTRA_CA_CERTS adds to them).
 * Errors: CONFIG_MISSING; USAGE for another kind of address; ReleaseError TRANSFER_….
 */
export async function exportBytes(where: string, signal: AbortSignal): Promise<Buffer> {
  if (!isWebSource(where)) {
    return readFile(where).catch((cause: unknown) => {
      throw new ConfigError('CONFIG_MISSING', `cannot read ${where}`, { cause });
    });
  }
  const url = URL.canParse(where) ? new URL(where) : null;
  if (url?.protocol !== 'https:')
    throw new TouchstoneError('USAGE', `${where.slice(0, 200)}: an https address is needed`);
  using web = new Web({ clock: systemClock, limits: TRANSFER_LIMITS, ca: null, env: process.env });
  const answer = await web.ask({ method: 'GET', url, signal });
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw new ConfigError(
      'CONFIG_MISSING',
      `${url.host}${url.pathname}: the server answers ${answer.statusCode ?? ''}`,
    );
  }
  const parts = { clock: systemClock, limits: TRANSFER_LIMITS, pace: new Pace(systemClock, null), signal };
  const all: Buffer[] = [];
  for await (const piece of pieces(url, answer, MAX_EXPORT_BYTES, parts)) all.push(piece);
  return Buffer.concat(all);
}
