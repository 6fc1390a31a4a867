// Addresses that a release may be fetched from, and the address of each of its files.
import { ReleaseError } from '../errors.ts';

/** True for a source that is an address on the web and not a folder. */
export function isWebSource(source: string): boolean {
  return /^https?:/i.test(source);
}

const refused = (url: string, why: string): ReleaseError =>
  new ReleaseError('TRANSFER_REFUSED', `${url.slice(0, 200)}: ${why}`);

/** Refuses what is not asked for. Errors: ReleaseError TRANSFER_REFUSED. */
export function assertAllowed(url: URL, plainHttp: boolean): void {
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  if (url.username !== '' || url.password !== '') throw refused(shown, 'an address must not hold a password');
  if (url.protocol === 'https:') return;
  if (url.protocol !== 'http:') throw refused(shown, 'only https and http are supported');
  if (!plainHttp) throw refused(shown, 'http is not allowed by this profile (transfer.plainHttp)');
}

/** The folder that a source names, with a slash at its end. Errors: ReleaseError TRANSFER_REFUSED. */
export function folderUrl(source: string, plainHttp: boolean): URL {
  if (!URL.canParse(source)) throw refused(source, 'this is no address');
  const url = new URL(source);
  assertAllowed(url, plainHttp);
  if (url.search !== '' || url.hash !== '') throw refused(source.split(/[?#]/)[0] ?? '', 'it must name a folder only');
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** The address of a file below a folder. `path`: as a statement names it, `/` between its parts. */
export function fileUrl(folder: URL, path: string): URL {
  return new URL(`${folder.href}${path.split('/').map(encodeURIComponent).join('/')}`);
}
