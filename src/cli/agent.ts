// `touchstone agent` among the other commands: its help, its completion, and what is wrong with a call of it.
import { Command, Option } from 'commander';
import { AGENT_OPTIONS } from './agent-options.ts';
import type { AgentOption, AgentOptions } from './agent-options.ts';
import { runUntilSignal } from './agent-run.ts';

function optionOf({ name, value, description, env, mandatory, choices, ...rest }: AgentOption): Option {
  const option = new Option(`--${name} ${value}`, description);
  if (choices !== undefined) option.choices(choices);
  if (env !== undefined) option.env(env);
  if (rest.default !== undefined) option.default(rest.default);
  return option.makeOptionMandatory(mandatory === true);
}

/** `touchstone agent`. */
export function agentCommand(): Command {
  const command = new Command('agent').description(
    'measure this device, prove it to the controller, take signed upgrades',
  );
  for (const option of AGENT_OPTIONS) command.addOption(optionOf(option));
  return command.action(async (options: AgentOptions) => runUntilSignal(options));
}
