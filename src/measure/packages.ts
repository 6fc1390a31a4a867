// The npm packages that the agent's code can load: its dependencies and theirs, found as Node finds them.
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { v } from '../bytes/shape.ts';
import { compareUtf8 } from '../bytes/text.ts';
import { ConfigError } from '../errors.ts';

export interface InstalledPackage {
  readonly name: string;
  /** Absolute, without symbolic links. */
  readonly folder: string;
}

const manifestShape = v.object({
  dependencies: v.optional(v.record(v.string(), v.string()), {}),
  optionalDependencies: v.optional(v.record(v.string(), v.string()), {}),
});

interface Needs {
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/** The package.json in `folder`; null where there is none that is one. */
async function needsOf(folder: string): Promise<Needs | null> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  } catch {
    return null;
  }
  const parsed = v.safeParse(manifestShape, json);
  if (!parsed.success) return null;
  const optional = Object.keys(parsed.output.optionalDependencies);
  return { required: Object.keys(parsed.output.dependencies).filter((name) => !optional.includes(name)), optional };
}

/** The folder of package `name` as code in `from` would load it. */
async function resolvePackage(name: string, from: string): Promise<string | null> {
  for (let at = from; ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name);
    if ((await needsOf(folder)) !== null) return realpath(folder);
    if (at === dirname(at)) return null;
  }
}

/** `code` or a folder above it has the package.json. Sorted by name, then folder. Errors: ConfigError CONFIG_MISSING. */
export async function packagesOf(code: string): Promise<InstalledPackage[]> {
  let root = code;
  while ((await needsOf(root)) === null) {
    if (root === dirname(root)) throw new ConfigError('CONFIG_MISSING', `no package.json in ${code} or above it`);
    root = dirname(root);
  }
  const found = new Map<string, InstalledPackage>();
  const queue = [root];
  for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
    const needs = await needsOf(from);
    for (const name of [...(needs?.required ?? []), ...(needs?.optional ?? [])]) {
      const folder = await resolvePackage(name, from);
      if (folder === null) {
        if (needs?.optional.includes(name) === true) continue;
        throw new ConfigError('CONFIG_MISSING', `package ${name}, which ${from} needs, is not installed`);
      }
      if (found.has(folder)) continue;
      found.set(folder, { name, folder });
      queue.push(folder);
    }
  }
  return [...found.values()].toSorted((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.folder, b.folder));
}
