// Orders version numbers: 1.2.3 and 1.2.3-rc.1, as Semantic Versioning 2.0.0, clause 11, does.

interface Version {
  readonly numbers: readonly number[];
  readonly pre: readonly string[];
}

function parse(text: string): Version | null {
  const match = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?$/.exec(text);
  if (match === null) return null;
  const [, major, minor, patch, pre] = match;
  return { numbers: [Number(major), Number(minor), Number(patch)], pre: pre === undefined ? [] : pre.split('.') };
}

function compareIdentifiers(a: string, b: string): number {
  const numeric = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (numeric[0] === true && numeric[1] === true) return Number(a) - Number(b);
  if (numeric[0] !== numeric[1]) return numeric[0] === true ? -1 : 1;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Below, at or above 0 as `a` is older than, as old as or newer than `b`; null when one of them is no version. */
export function compareVersions(a: string, b: string): number | null {
  const [left, right] = [parse(a), parse(b)];
  if (left === null || right === null) return null;
  for (const [at, number] of left.numbers.entries()) {
    const order = number - (right.numbers[at] ?? 0);
    if (order !== 0) return order;
  }
  // A pre-release comes before its release.
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let at = 0; at < Math.max(left.pre.length, right.pre.length); at++) {
    const [one, other] = [left.pre[at], right.pre[at]];
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
    const order = compareIdentifiers(one, other);
    if (order !== 0) return order;
  }
  return 0;
}
