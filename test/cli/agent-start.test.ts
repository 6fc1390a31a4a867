// The two ways to start the agent take the same call for the same, and what is not a plain start is left to the one that can explain it.
import { expect, test } from 'vitest';
import { agentCommand } from '../../src/cli/agent.ts';
import { plainOptions } from '../../src/cli/agent-start.ts';

const ENV = {
  TOUCHSTONE_PROFILE: '/p.json',
  TOUCHSTONE_STATE: '/s',
  TOUCHSTONE_FLEET: '/f',
  TOUCHSTONE_TCTI: 'device:/dev/tpm0',
  TOUCHSTONE_TOKEN_FILE: '/t',
};

/** What commander makes of the same call. */
async function parsed(args: readonly string[], env: Readonly<Record<string, string>>): Promise<unknown> {
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    let options: unknown;
    const command = agentCommand().action((given: unknown) => {
      options = given;
    });
    await command.parseAsync([...args], { from: 'user' });
    return options;
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

test.each<[string[], Record<string, string>]>([
  [['--profile', 'p'], {}],
  [['--profile=p', '--log', 'json'], {}],
  [['--profile', 'p', '--profile', 'q', '--state', 's', '--fleet', 'f', '--tcti', 'c', '--token-file', 't'], {}],
  [[], ENV],
  [['--state', 'other', '--tcti='], ENV],
])('%j with %j', async (args, env) => {
  const options = plainOptions(args, env);
  expect(options).not.toBeNull();
  expect(options).toEqual(await parsed(args, env));
});

test.each([
  [[]],
  [['--help']],
  [['--profile', 'p', '-h']],
  [['--profile']],
  [['--profile', 'p', '--json']],
  [['--profile', 'p', '--log', 'xml']],
  [['--profile', 'p', 'more']],
  [['--profile', 'p', '--unknown', 'x']],
])('%j is no plain start', (args) => {
  expect(plainOptions(args, {})).toBeNull();
});
