// The paths of a profile's configs: a file, a folder with all it holds, or a pattern with `*`, `?` and `**`.

/** A config path taken apart. */
export interface ConfigPattern {
  /** The folder that is listed: what comes before the first wildcard. */
  readonly base: string;
  /** True for a path without wildcards: a file, or a folder as a whole. */
  readonly plain: boolean;
  /** Whether a file at this path below `base` is meant. */
  matches(path: string): boolean;
  /** Whether something below a folder at this path may be meant. */
  mayHold(path: string): boolean;
}

const WILD = /[*?]/;

/** `*` and `?` stay within a name; `**` alone is any number of folders. Everything else stands for itself, a leading dot too. */
function segmentMatcher(segment: string): RegExp {
  const source = segment
    .replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`, 'su');
}

/** Whether `names` from `at` fit `segments` from `from`; with `partly`, whether longer names could. */
function fits(names: readonly string[], segments: readonly (RegExp | '**')[], partly: boolean): boolean {
  // Positions in the pattern that the names so far lead to: linear in both, whatever the pattern is.
  let reached = new Set([0]);
  const skipFolders = (from: Set<number>): Set<number> => {
    for (const at of from) if (segments[at] === '**') from.add(at + 1);
    return from;
  };
  reached = skipFolders(reached);
  for (const name of names) {
    const next = new Set<number>();
    for (const at of reached) {
      const segment = segments[at];
      if (segment === '**') next.add(at);
      else if (segment?.test(name) === true) next.add(at + 1);
    }
    reached = skipFolders(next);
  }
  return partly ? [...reached].some((at) => at < segments.length) : reached.has(segments.length);
}

/** `path` is absolute, without `.` and `..`, as the profile demands. */
export function configPattern(path: string): ConfigPattern {
  const parts = path.split('/').filter((part) => part !== '');
  const wild = parts.findIndex((part) => WILD.test(part));
  if (wild === -1) return { base: `/${parts.join('/')}`, plain: true, matches: () => true, mayHold: () => true };
  const segments = parts.slice(wild).map((part) => (part === '**' ? part : segmentMatcher(part)));
  // `folder/**` means the files below the folder, however deep.
  const toFiles = segments.at(-1) === '**' ? [...segments, /^[^/]*$/su] : segments;
  return {
    base: `/${parts.slice(0, wild).join('/')}`,
    plain: false,
    matches: (name) => fits(name.split('/'), toFiles, false),
    mayHold: (name) => fits(name.split('/'), toFiles, true),
  };
}
