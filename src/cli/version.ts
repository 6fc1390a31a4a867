// The version of the installed package, read from its own package.json, in the source tree and in dist alike.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

function manifestAt(folder: string): { name?: unknown; version?: unknown } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown; version?: unknown };
  } catch {
    return undefined;
  }
}

/** The `version` of the nearest package.json above this file that is ours; `unknown` when the package was taken apart. */
export function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const manifest = manifestAt(folder);
    if (manifest?.name === 'touchstone' && typeof manifest.version === 'string') return manifest.version;
    if (folder === dirname(folder)) return 'unknown';
  }
}
