// `touchstone fleet controller`: the state directory of another controller of the same fleet.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { stateOption } from './controller.ts';
import { cleanText, outputOf } from './output.ts';

interface ControllerOptions {
  readonly state: string;
  readonly out: string;
  readonly name: string;
}

async function make({ state, out, name }: ControllerOptions, command: Command): Promise<void> {
  const [{ makeSecondController }, { STATE_FILES }] = await Promise.all([
    import('../controller/second-controller.ts'),
    import('../controller/settings.ts'),
  ]);
  makeSecondController(state, out, name, Date.now());
  const output = outputOf(command);
  const folders = [STATE_FILES.profiles, STATE_FILES.releases, STATE_FILES.references, STATE_FILES.ekRoots];
  const next = [
    `cp -a ${join(state, STATE_FILES.releases)}/. ${join(out, STATE_FILES.releases)}/`,
    `touchstone controller --state ${out}`,
  ];
  output.result({ dir: out, name, next }, () =>
    [
      output.paint('green', `made ${cleanText(out)} for ${name}`),
      "  It holds the fleet's operator, result, challenge and certificate keys: bring it to its machine as you would bring them.",
      `  Keep ${folders.join(', ')} and ${STATE_FILES.allowed} the same in both; all else that they share is in the database.`,
      '',
      'Next:',
      ...next.map((line) => `  ${cleanText(line)}`),
    ].join('\n'),
  );
}

/** `touchstone fleet controller`. */
export function controllerFolderCommand(): Command {
  return new Command('controller')
    .description('make the state directory of another controller that shares the PostgreSQL registry of this one')
    .requiredOption('--out <dir>', 'a new folder')
    .addOption(
      new Option('--name <name>', "its name at the broker, one that the broker's rules know")
        .choices(['controller-2', 'controller-3', 'controller-4'])
        .default('controller-2'),
    )
    .addOption(stateOption())
    .addHelpText(
      'after',
      `
Each message of a device goes to one of the controllers that run; each evidence counts once among them.

Example:
  touchstone fleet controller --state DIR/controller --out DIR/controller-2`,
    )
    .action(make);
}
