// Reads what each source file imports, with a real parser, from disk or from texts that a test made up.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { parseSync } from 'vite';

/** One arrow of the module graph. */
export interface Arrow {
  /** Path of the project (`src/bytes/wire.ts`), or a package or builtin (`koffi`, `node:fs`). */
  readonly to: string;
  /** Erased by type stripping: no code runs because of it. */
  readonly typeOnly: boolean;
  /** The imported names; `*` when all or not known. */
  readonly names: readonly string[];
}

export interface Module {
  readonly path: string;
  readonly text: string;
  readonly program: unknown;
  readonly arrows: readonly Arrow[];
}

export type Modules = ReadonlyMap<string, Module>;

/** The repository's root. */
export const ROOT: string = join(import.meta.dirname, '..', '..');

function target(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.normalize(posix.join(dirname(from), specifier)) : specifier;
}

type ParsedModule = ReturnType<typeof parseSync>['module'];

function staticArrows(path: string, parsed: ParsedModule): Arrow[] {
  const imports = parsed.staticImports.map((found): Arrow => {
    const names = found.entries.map((entry) => entry.importName.name ?? '*');
    const typeOnly = found.entries.length > 0 && found.entries.every((entry) => entry.isType);
    return { to: target(path, found.moduleRequest.value), typeOnly, names };
  });
  const reexports = parsed.staticExports.flatMap((found) =>
    found.entries
      .filter((entry) => entry.moduleRequest !== null)
      .map((entry): Arrow => ({
        to: target(path, entry.moduleRequest?.value ?? ''),
        typeOnly: entry.isType,
        names: [entry.importName.name ?? '*'],
      })),
  );
  return [...imports, ...reexports];
}

/** Imports at run time: `import('…')`, worker addresses `new URL('…', import.meta.url)`, and `require`-like calls. */
function dynamicArrows(path: string, text: string, parsed: ParsedModule): Arrow[] {
  const literals = parsed.dynamicImports.map(({ moduleRequest: { start, end } }) => {
    const literal = /^\s*(['"`])([^'"`$]*)\1\s*$/.exec(text.slice(start, end));
    // What cannot be read cannot be judged, so no rule lets it pass.
    return literal?.[2] ?? `unreadable import ${text.slice(start, end)}`;
  });
  const addresses = [...text.matchAll(/new URL\(\s*['"](\.[^'"]*\.ts)['"]\s*,\s*import\.meta\.url/g)];
  // The same worker as source and as built JavaScript.
  const workers = [...text.matchAll(/new URL\(\s*`(\.[\w./-]*)\$\{extname\(import\.meta\.url\)\}`/g)];
  const required = [...text.matchAll(/\b(?:require|getBuiltinModule)\(\s*['"]([^'"]+)['"]/g)];
  const named = [...addresses, ...required].map((match) => match[1] ?? '');
  return [...literals, ...named, ...workers.map((match) => `${match[1] ?? ''}.ts`)].map((specifier) => ({
    to: target(path, specifier),
    typeOnly: false,
    names: ['*'],
  }));
}

/** The modules of a map from path to text. */
export function modulesOf(texts: Readonly<Record<string, string>>): Modules {
  return new Map(
    Object.entries(texts).map(([path, text]) => {
      const { module, program, errors } = parseSync(path, text);
      if (errors.length > 0) throw new TypeError(`${path} cannot be parsed: ${errors[0]?.message ?? ''}`);
      const arrows = [...staticArrows(path, module), ...dynamicArrows(path, text, module)];
      return [path, { path, text, program, arrows }];
    }),
  );
}

/** The modules of src and native as they are on disk. */
export function projectModules(): Modules {
  const paths = globSync(['src/**/*.ts', 'native/**/*.ts'], { cwd: ROOT }).toSorted();
  return modulesOf(Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')])));
}
