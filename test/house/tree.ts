// The files of the project as a clone has them, for the rules that hold for all of them.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './modules.ts';

/** Paths of all tracked files; in a source archive without git, of all files that git would not ignore. */
export function projectFiles(): string[] {
  if (existsSync(join(ROOT, '.git'))) {
    // Whoever runs the tests need not own the clone.
    const listed = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
    return listed.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
  }
  const ignored = (path: string): boolean => /^(?:node_modules|dist|coverage)$/.test(path);
  return globSync('{.*,**/*,.*/**}', { cwd: ROOT, exclude: ignored }).filter((path) =>
    statSync(join(ROOT, path)).isFile(),
  );
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Rules over one file's name and text; each returns what breaks it. */
export const TEXT_RULES: Readonly<Record<string, (path: string, text: string) => string[]>> = {
  'begins with a comment that says what it is': (path, text) => {
    if (!/^(?:src|native|test)\/.*\.(?:ts|mjs|c|h|sh)$/.test(path)) return [];
    const lines = text.split('\n');
    const first = lines[0]?.startsWith('#!') ? lines[1] : lines[0];
    return /^(?:\/\/|\/\*|#) ?\S.{9,}/.test(first ?? '') ? [] : [first ?? ''];
  },
  'names no path of somebody’s machine': (_, text) =>
    matches(text, /(?<![\w.})*\]-])\/(?:root|home\/\w+|work)\/[\w.]*/g),
  'names no package registry or mirror': (path, text) =>
    matches(text, /https?:\/\/[\w.:@-]*(?:registry|artifact|mirror|pkg\.dev|npmjs)[\w.:-]*/g).concat(
      path === 'package-lock.json' ? matches(text, /"resolved": "http[^"]*"/g) : [],
    ),
  'has no name that says nothing': (path, text) => {
    const exported = /^export (?:abstract |async |default )*(?:class|function\*?|const|let|interface|type) (\w+)/gm;
    const names = [path, ...[...text.matchAll(exported)].map((match) => match[1] ?? '')];
    const code = /\.(?:ts|mjs)$/.test(path);
    return code
      ? names.filter((name) => /Manager|Service|Helper|Util|(?:manager|service|helper|utils?)[.-]/.test(name))
      : [];
  },
};

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[0]);
}

/** Files that are made from others or by running, and so have no place in the repository. */
export function isGenerated(path: string): boolean {
  return /(?:^|\/)(?:node_modules|dist|coverage)\/|\.(?:tgz|log|sqlite|sqlite-wal|sqlite-shm|tsbuildinfo|d\.ts|map|key)$/.test(
    path,
  );
}
