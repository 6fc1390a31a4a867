// The layers and walls of the house as a table, and the functions that find what breaks them.
import type { Arrow, Module, Modules } from './modules.ts';

/** Rooms from the ground up. A room may import itself and whatever has a lower number. */
export const LEVELS: Readonly<Record<string, number>> = {
  errors: 0,
  clock: 0.1,
  log: 0.1,
  bytes: 0.1,
  rules: 0.2,
  native: 0.5,
  crypto: 1,
  files: 1.1,
  tpm: 2,
  profile: 3,
  cel: 3,
  boot: 3,
  evidence: 4,
  release: 4,
  // Below the verifier, which gets bytes and must read them.
  protocol: 4.5,
  store: 5,
  verifier: 5,
  bus: 5,
  measure: 6,
  // Fetches what a signed statement names; knows nothing of slots and trials.
  transfer: 6.5,
  gate: 7,
  agent: 8,
  controller: 8,
  // What plays a whole fleet on one machine: software TPM, broker, the binary as a process.
  testing: 8.2,
  // The public entry files: src/index.ts and those named like the room that they open.
  entry: 8.5,
  // Beside cli, but called by it: they play what people type.
  demo: 8.9,
  rehearse: 8.9,
  cli: 9,
};

const ENTRY_FILE = /^src\/(?:index|agent|verifier|controller|testing)\.ts$/;

/** `src/tpm/wire/x.ts` is of room `tpm`, `src/errors.ts` of `errors`, `src/verifier.ts` of `entry`. */
export function roomOf(path: string): string {
  if (ENTRY_FILE.test(path)) return 'entry';
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

function isOurs(path: string): boolean {
  return path.startsWith('src/') || path.startsWith('native/');
}

function eachArrow(modules: Modules): { module: Module; arrow: Arrow }[] {
  return [...modules.values()].flatMap((module) => module.arrows.map((arrow) => ({ module, arrow })));
}

/** Imports that go up, sideways, out of src and native, or nowhere. */
export function layerBreaks(modules: Modules): string[] {
  const breaks: string[] = [];
  for (const { module, arrow } of eachArrow(modules)) {
    const said = `${module.path} imports ${arrow.to}`;
    if (/^unreadable|^\.\.|^\/|^test\//.test(arrow.to)) breaks.push(`${said}: outside of the house`);
    if (!isOurs(arrow.to)) continue;
    if (!modules.has(arrow.to)) breaks.push(`${said}: no such file`);
    const [from, to] = [roomOf(module.path), roomOf(arrow.to)];
    const [own, other] = [LEVELS[from], LEVELS[to]];
    if (own === undefined || other === undefined) {
      breaks.push(`${said}: ${own === undefined ? from : to} has no level`);
      continue;
    }
    if (from !== to && other >= own) {
      breaks.push(`${said}: ${from} (${own}) may not import ${to} (${other})`);
    }
  }
  return breaks;
}

/** Cycles of imports, each once, types included: two files that need each other are one file. */
export function importCycles(modules: Modules): string[] {
  const cycles = new Set<string>();
  const finished = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      cycles.add([...trail.slice(at), path].join(' → '));
      return;
    }
    if (finished.has(path)) return;
    for (const { to } of modules.get(path)?.arrows ?? []) if (isOurs(to)) walk(to, [...trail, path]);
    finished.add(path);
  };
  for (const path of modules.keys()) walk(path, []);
  return [...cycles];
}

/** Everything that runs because `start` is loaded, with the way there. Type-only imports are erased and lead nowhere. */
function reached(modules: Modules, start: string): Map<string, string> {
  const ways = new Map([[start, start]]);
  const queue = [start];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const { to, typeOnly } of modules.get(path)?.arrows ?? []) {
      if (typeOnly || ways.has(to)) continue;
      ways.set(to, `${ways.get(path) ?? ''} → ${to}`);
      queue.push(to);
    }
  }
  return ways;
}

/** A wall: no file of `rooms` may come to run anything that `forbidden` matches, nor name its types. */
export interface Wall {
  readonly name: string;
  readonly from: (path: string) => boolean;
  readonly forbidden: (target: string) => boolean;
}

const roomIn =
  (...rooms: string[]) =>
  (path: string): boolean =>
    isOurs(path) && rooms.includes(roomOf(path));

const isVerifier = (path: string): boolean => path === 'src/verifier.ts' || roomIn('verifier')(path);

/** What a pure room may load: hashing, signatures and parsing, nothing that reads, waits or draws lots. */
const PURE = new Set(['node:crypto', 'node:buffer', 'node:util', 'valibot', 'node-forge']);

export const WALLS: readonly Wall[] = [
  { name: 'a device never judges itself', from: roomIn('agent'), forbidden: roomIn('verifier') },
  {
    name: 'the controller has no device parts',
    from: roomIn('controller'),
    forbidden: (path) =>
      roomIn('agent', 'gate', 'measure', 'native')(path) || path.startsWith('src/tpm/transport') || path === 'koffi',
  },
  {
    name: 'the verifier is pure',
    from: isVerifier,
    forbidden: (path) => (isOurs(path) ? roomIn('clock', 'native', 'store', 'bus', 'files')(path) : !PURE.has(path)),
  },
  {
    name: 'only the lowest rooms touch the operating system through native',
    from: (path) =>
      isOurs(path) &&
      !roomIn(
        'native',
        'tpm',
        'files',
        'measure',
        'gate',
        'agent',
        'testing',
        'entry',
        'demo',
        'rehearse',
        'cli',
      )(path),
    forbidden: (path) => path.startsWith('native/') || path === 'koffi',
  },
];

/** Ways through a wall. A direct import counts even when only for types; indirect ones count when code runs. */
export function wallBreaks(modules: Modules, walls: readonly Wall[] = WALLS): string[] {
  return walls.flatMap((wall) =>
    [...modules.values()]
      .filter((module) => wall.from(module.path))
      .flatMap((module) => {
        const ways = reached(modules, module.path);
        for (const { to } of module.arrows) if (!ways.has(to)) ways.set(to, `${module.path} → ${to} (type)`);
        return [...ways].filter(([to]) => wall.forbidden(to)).map(([, way]) => `${wall.name}: ${way}`);
      }),
  );
}

/** Packages that are imported in more than one folder: each must have one place where it can be replaced. */
export function scatteredPackages(modules: Modules): string[] {
  const importers = new Map<string, Set<string>>();
  for (const { module, arrow } of eachArrow(modules)) {
    if (isOurs(arrow.to) || /^node:|^\.|^\/|^unreadable/.test(arrow.to)) continue;
    const name = arrow.to.split('/', arrow.to.startsWith('@') ? 2 : 1).join('/');
    importers.set(name, (importers.get(name) ?? new Set()).add(module.path));
  }
  return [...importers]
    .filter(([, paths]) => new Set([...paths].map(roomOf)).size > 1)
    .map(([name, paths]) => `${name} is imported in ${[...paths].join(', ')}`);
}
