// Ends test files that hang, with all that they started: a run may fail, it must not stand still.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where each test process leaves its file's name, under its own process id. */
export const WATCH_VARIABLE = 'TOUCHSTONE_TEST_WATCH';

export interface WatchOptions {
  /** Folder of the announcements. */
  readonly folder: string;
  /** Only this process's children and theirs are ever ended. */
  readonly root: number;
  /** How long one test file may take, ms. */
  readonly limitMs: number;
  readonly everyMs: number;
  /** Called once for every file that was ended. */
  readonly onEnded: (file: string) => void;
}

/** Parent of each living process, by process id. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // "pid (name) state ppid …": the name may hold anything, parentheses too.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      found.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended since the folder was read.
    }
  }
  return found;
}

/** `pid` and every process below it, the lowest first. */
export function treeOf(pid: number): number[] {
  const all = parents();
  const tree = [pid];
  for (const one of tree) for (const [child, parent] of all) if (parent === one) tree.push(child);
  return tree.toReversed();
}

function killTree(pid: number): void {
  for (const one of treeOf(pid)) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}

/** Looks every `everyMs`; the caller ends it. */
export function watch({ folder, root, limitMs, everyMs, onEnded }: WatchOptions): { stop(): void } {
  const ended = new Set<string>();
  const timer = setInterval(() => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const { mtimeMs } = statSync(path);
      if (ended.has(name) || Date.now() - mtimeMs < limitMs) continue;
      ended.add(name);
      // Its number may belong to somebody else by now.
      if (!treeOf(root).includes(Number(name))) continue;
      onEnded(readFileSync(path, 'utf8'));
      killTree(Number(name));
    }
  }, everyMs);
  return {
    stop: () => {
      clearInterval(timer);
    },
  };
}
