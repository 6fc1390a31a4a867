// Why a file could not be measured: one word for each reason, carried by the error and by the listing of a folder.
import { MeasureError } from '../errors.ts';

/**
 * `symlink`: never followed. `special`: a socket, pipe, device or (where a file belongs) a folder. `unreadable`: permission or I/O error.
 * `missing`: not there. `changed`: was written, replaced or truncated while it was read. `bad-name`: not UTF-8, or with control
 * characters. `too-many`, `too-deep`: beyond the limits of a listing.
 */
export type FaultKind =
  'symlink' | 'special' | 'unreadable' | 'missing' | 'changed' | 'bad-name' | 'too-many' | 'too-deep';

export interface Fault {
  /** As it is shown: bytes that are no text are written `\xNN`. */
  readonly path: string;
  readonly kind: FaultKind;
}

const WORDS: Readonly<Record<FaultKind, string>> = {
  symlink: 'is a symbolic link, which is never followed',
  special: 'is not a regular file',
  unreadable: 'cannot be read',
  missing: 'is not there',
  changed: 'changed while it was read',
  'bad-name': 'has a name that is not plain UTF-8 text',
  'too-many': 'is beyond the greatest number of files',
  'too-deep': 'lies deeper than folders may be nested',
};

/** A file that has no digest, and why. Code MEASURE_FAILED. */
export class FileFault extends MeasureError {
  readonly kind: FaultKind;
  readonly path: string;

  constructor(kind: FaultKind, path: string, options?: ErrorOptions) {
    super('MEASURE_FAILED', `${path} ${WORDS[kind]}`, options);
    this.kind = kind;
    this.path = path;
  }
}

const KIND_OF_ERRNO: Readonly<Record<string, FaultKind>> = {
  ELOOP: 'symlink',
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  ENXIO: 'special',
  ENODEV: 'special',
  EISDIR: 'special',
  ESTALE: 'changed',
};

/** The kind for an error of an open or read system call; whatever is not known by name is `unreadable`. */
export function faultKind(error: unknown): FaultKind {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return KIND_OF_ERRNO[code] ?? 'unreadable';
}
