// What the operator trusts in the matter of endorsement keys: roots, intermediates and revocation lists, read again when their files change.
import type { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_CRL_BYTES, readCrlFile } from '../crypto/crl.ts';
import type { Crl } from '../crypto/crl.ts';
import { certificatesOf } from '../crypto/ek-certificate.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';

export interface OperatorsEkTrust {
  /** Roots of TPM vendors, and of software TPMs: a chain to the latter proves no hardware. */
  readonly hardware: readonly X509Certificate[];
  readonly software: readonly X509Certificate[];
  readonly intermediates: readonly Buffer[];
  readonly crls: readonly Crl[];
}

/** Folders in ek-roots, each with the ends of names that are read in it. */
export const EK_FOLDERS = {
  hardware: ['.pem'],
  software: ['.pem'],
  intermediates: ['.pem'],
  crls: ['.pem', '.crl', '.der'],
} as const;
type Folder = keyof typeof EK_FOLDERS;
const MAX_FILE_BYTES = 2 * MAX_CRL_BYTES;

interface Found {
  readonly path: string;
  /** Moves when the file is written anew. */
  readonly mark: string;
}

function filesIn(root: string, folder: Folder): Found[] {
  const path = join(root, folder);
  let names: string[];
  try {
    names = readdirSync(path);
  } catch {
    return [];
  }
  return names
    .filter((name) => EK_FOLDERS[folder].some((end) => name.endsWith(end)))
    .toSorted()
    .map((name) => {
      const file = join(path, name);
      const stat = statSync(file, { throwIfNoEntry: false });
      return { path: file, mark: `${file} ${stat?.size ?? -1} ${stat?.mtimeMs ?? -1} ${stat?.ino ?? -1}` };
    });
}

function bytesOf({ path }: Found): Buffer {
  const { size } = statSync(path);
  if (size > MAX_FILE_BYTES) throw new ConfigError('CONFIG_INVALID', `${path}: longer than ${MAX_FILE_BYTES} bytes`);
  return readFileSync(path);
}

function certificatesIn(files: readonly Found[]): X509Certificate[] {
  return files.flatMap((file) => {
    const { certificates, broken } = certificatesOf(bytesOf(file).toString('utf8'));
    if (broken > 0) throw new ConfigError('CONFIG_INVALID', `${file.path}: ${broken} certificates cannot be read`);
    return certificates;
  });
}

function crlsIn(files: readonly Found[]): Crl[] {
  return files.flatMap((file) => {
    try {
      return readCrlFile(bytesOf(file));
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw new ConfigError('CONFIG_INVALID', `${file.path}: no revocation list: ${cause.message}`, { cause });
    }
  });
}

type Files = Readonly<Record<Folder, readonly Found[]>>;

function list(root: string): Files {
  const of = (folder: Folder): Found[] => filesIn(root, folder);
  return { hardware: of('hardware'), software: of('software'), intermediates: of('intermediates'), crls: of('crls') };
}

function read(files: Files): OperatorsEkTrust {
  return {
    hardware: certificatesIn(files.hardware),
    software: certificatesIn(files.software),
    intermediates: certificatesIn(files.intermediates).map((certificate) => certificate.raw),
    crls: crlsIn(files.crls),
  };
}

const marks = (files: Files): string =>
  Object.values(files)
    .flat()
    .map(({ mark }) => mark)
    .join('\n');

/** The folder `ek-roots` of a controller. */
export class EkTrustFolder {
  readonly #root: string;
  #marks: string;
  #trust: OperatorsEkTrust;
  #fault: string | null = null;

  /** Errors: ConfigError CONFIG_INVALID that names the file. */
  constructor(root: string) {
    this.#root = root;
    const files = list(root);
    this.#trust = read(files);
    this.#marks = marks(files);
  }

  /** Why the files as they are now were not taken; null when they were. */
  get fault(): string | null {
    return this.#fault;
  }

  /** As the files are now; where one of them cannot be read, as they were before. */
  current(): OperatorsEkTrust {
    try {
      const files = list(this.#root);
      const now = marks(files);
      if (now === this.#marks) return this.#trust;
      this.#marks = now;
      this.#trust = read(files);
      this.#fault = null;
    } catch (error) {
      if (!(error instanceof TouchstoneError) && !(error instanceof Error && 'syscall' in error)) throw error;
      this.#fault = error.message;
    }
    return this.#trust;
  }
}
