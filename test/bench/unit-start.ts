// How the unit of systemd that is shipped starts the agent.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './built.ts';

export interface Start {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How the unit of systemd that is shipped starts the agent: the flags of Node, and what its allocator is told. */
export function startOfUnit(): Start {
  const unit = readFileSync(join(ROOT, 'native/systemd/touchstone-agent.service'), 'utf8');
  const flags = /^ExecStart=\/usr\/bin\/env node (.*) \/usr\/bin\/touchstone agent$/m.exec(unit)?.[1];
  const env = [...unit.matchAll(/\b(MALLOC_\w+)=(\w+)/g)].map(([, name = '', value = '']) => [name, value] as const);
  if (flags === undefined || env.length === 0) throw new Error('the unit of the agent says not how Node is started');
  return { flags: flags.split(' '), env: Object.fromEntries(env) };
}
