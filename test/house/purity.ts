// Finds clock, randomness and input or output that need no import: globals, and names of node:crypto.
import type { Module, Modules } from './modules.ts';

const GLOBALS = new Set([
  'performance',
  'process',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'WebSocket',
  'crypto',
]);
const LOTS = /^(?:random|generateKey|generatePrime|getRandomValues|\*|default|webcrypto)/;

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function nameOf(value: unknown): string {
  return isNode(value) && value.type === 'Identifier' ? String(value['name']) : '';
}

/** What one node of the tree does that a pure function may not. */
function impurity(node: Node): string | undefined {
  if (
    node.type === 'NewExpression' &&
    nameOf(node['callee']) === 'Date' &&
    (node['arguments'] as unknown[]).length === 0
  ) {
    return 'new Date()';
  }
  if (node.type === 'MemberExpression') {
    const [object, property] = [nameOf(node['object']), nameOf(node['property'])];
    if ((object === 'Date' && property === 'now') || (object === 'Math' && property === 'random')) {
      return `${object}.${property}`;
    }
    if (GLOBALS.has(object)) return `${object}.${property}`;
  }
  if (node.type === 'CallExpression' && GLOBALS.has(nameOf(node['callee']))) return `${nameOf(node['callee'])}()`;
  return undefined;
}

function impuritiesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => impuritiesIn(item));
  if (!isNode(value)) return [];
  const own = impurity(value);
  return [...(own === undefined ? [] : [own]), ...Object.values(value).flatMap((child) => impuritiesIn(child))];
}

function drawnLots(module: Module): string[] {
  return module.arrows
    .filter((arrow) => arrow.to === 'node:crypto' && !arrow.typeOnly)
    .flatMap((arrow) => arrow.names.filter((name) => LOTS.test(name)).map((name) => `node:crypto ${name}`));
}

/** In every file that `isPure` names: its use of clock, randomness or the process. */
export function impureUses(modules: Modules, isPure: (path: string) => boolean): string[] {
  return [...modules.values()]
    .filter((module) => isPure(module.path))
    .flatMap((module) =>
      [...impuritiesIn(module.program), ...drawnLots(module)].map((use) => `${module.path}: ${use}`),
    );
}
