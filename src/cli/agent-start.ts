// A plain start of the agent: it stays for years on a small device, and so comes without what only help and other commands need.
import { parseArgs } from 'node:util';
import { AGENT_OPTIONS } from './agent-options.ts';
import type { AgentOptions } from './agent-options.ts';
import { runUntilSignal } from './agent-run.ts';
import { EXIT } from './exit.ts';
import type { ExitCode } from './exit.ts';
import { reportFailure } from './failure.ts';

/** What `touchstone agent …` is called with; null where there is more to say than a start: help, an option that is wrong or missing. */
export function plainOptions(args: readonly string[], env: NodeJS.ProcessEnv): AgentOptions | null {
  const options = Object.fromEntries(AGENT_OPTIONS.map(({ name }) => [name, { type: 'string' } as const]));
  let given: Readonly<Record<string, unknown>>;
  try {
    given = parseArgs({ args: [...args], options }).values;
  } catch {
    return null;
  }
  const values: [string, string][] = [];
  for (const { key, name, env: variable = '', default: usual, mandatory, choices } of AGENT_OPTIONS) {
    const value = given[name] ?? env[variable] ?? usual;
    if (typeof value === 'string') {
      if (choices?.includes(value) === false) return null;
      values.push([key, value]);
    } else if (mandatory === true) return null;
  }
  return Object.fromEntries(values) as unknown as AgentOptions;
}

/** Runs the agent to its end; null where the call is not plain. Never throws: what went wrong was printed. */
export async function startAgent(args: readonly string[]): Promise<ExitCode | null> {
  const options = plainOptions(args, process.env);
  if (options === null) return null;
  try {
    await runUntilSignal(options);
    return EXIT.done;
  } catch (error) {
    return reportFailure(error, { json: false });
  }
}
