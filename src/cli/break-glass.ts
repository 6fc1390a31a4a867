// `touchstone break-glass SLOT`: somebody at the device goes on with a signed model while the controller's word does not count.
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { Breaking } from '../agent/glass-keeper.ts';
import { GLASS_SOCKET } from '../agent/glass-socket.ts';
import type { GlassAsk } from '../agent/glass-socket.ts';
import { MAX_REASON } from '../agent/glass.ts';
import { RULES } from '../rules/catalogue.ts';
import type { RuleId } from '../rules/catalogue.ts';
import { hearAgent, reachAgent } from './ask-agent.ts';
import { EXIT } from './exit.ts';
import { agentStateOption } from './options.ts';
import { cleanText, outputOf } from './output.ts';

interface BreakGlassOptions {
  readonly reason: string;
  readonly state: string;
}

function words(value: string): string {
  const said = value.trim();
  if (said === '' || said.length > MAX_REASON || /\p{Cc}/u.test(said)) {
    throw new InvalidArgumentError(`it is a sentence of at most ${MAX_REASON} characters, on one line`);
  }
  return said;
}

async function breakGlass(slot: string, { reason, state }: BreakGlassOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const others = "only root, its own user and the group of the profile's breakGlassGid may break the glass";
  const socket = await reachAgent(join(state, GLASS_SOCKET), others);
  const ask: GlassAsk = { v: 1, do: 'break-glass', slot, reason };
  socket.end(`${JSON.stringify(ask)}\n`);
  const breaking = (await hearAgent(socket)) as Breaking;
  if (!breaking.broken) process.exitCode = EXIT.against;
  output.result({ ...breaking }, () => {
    if (breaking.broken) {
      const until = `The controller hears of it. It ends after ${breaking.forSeconds} s, or when the controller vouches for the device.`;
      return [output.paint('yellow', `slot ${slot} may be loaded, under break-glass`), until].join('\n');
    }
    const { now } = RULES[breaking.rule as RuleId];
    return [output.paint('red', `${breaking.rule}: ${cleanText(breaking.why)}`), `  what to do: ${now}`].join('\n');
  });
}

/** `touchstone break-glass`. */
export function breakGlassCommand(): Command {
  return new Command('break-glass')
    .description(
      "use a signed model although the controller's word ran out or is against it: exit code 0 it may be loaded, 1 refused, 3 no agent",
    )
    .argument('<slot>', 'the slot')
    .requiredOption('--reason <text>', 'why, and who answers for it: the controller is told', words)
    .addOption(agentStateOption())
    .addHelpText(
      'after',
      `
Only where the profile names breakGlass for the slot, for at most its maxSeconds, and once until the controller vouches for the
device again. A model that is altered, unsigned, below its version floor or not yet healthy stays stopped. Root, the agent's own user
and the group of the profile's breakGlassGid may ask.

Example:
  touchstone break-glass triage --reason "emergency in theatre 2, link is down; Dr. Okafor"`,
    )
    .action(breakGlass);
}
