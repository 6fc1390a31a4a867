// `touchstone upgrade`: gives devices a published release and follows each to its attested end.
import { Command, Option } from 'commander';
import { resolve } from 'node:path';
import { askController } from '../controller/control-client.ts';
import { stateOption } from './controller.ts';
import { secondsOf } from './device.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf, table } from './output.ts';
import type { Json, Output } from './output.ts';
import { interruptible } from './interrupt.ts';
import { followUpgrades } from './upgrade-follow.ts';
import type { GivenUpgrade, UpgradeState } from './upgrade-end.ts';

interface UpgradeOptions {
  readonly state: string;
  readonly release: string;
  readonly source?: string;
  readonly slot?: string;
  readonly timeout: number;
  readonly wait: boolean;
}

const isTerminal = (): boolean => process.stderr.isTTY && (process.env['CI'] ?? '') === '';

function nameOf({ device, label }: UpgradeState): string {
  return cleanText(label ?? device.slice(0, 12));
}

function exitOf(states: readonly UpgradeState[]): number {
  if (states.some(({ end }) => ['refused', 'rolled-back', 'untrusted', 'superseded'].includes(end)))
    return EXIT.against;
  return states.every(({ end }) => end === 'attested') ? EXIT.done : EXIT.failed;
}

function show(output: Output, release: string, states: readonly UpgradeState[]): void {
  const colour = (end: UpgradeState['end']): string =>
    output.paint(end === 'attested' ? 'green' : end === 'under-way' ? 'yellow' : 'red', end);
  output.result({ release, upgrades: states } as unknown as Json, () =>
    table(
      ['device', 'slot', 'how it ended', 'rule', 'why'],
      states.map((one) => [nameOf(one), one.slot, colour(one.end), one.rule ?? '-', cleanText(one.detail)]),
    ),
  );
}

async function upgrade(devices: string[], options: UpgradeOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { state, release, slot = null, timeout } = options;
  const source =
    options.source === undefined || /^https?:\/\//.test(options.source) ? options.source : resolve(options.source);
  const body = { devices, release, slot, source: source ?? null };
  const { upgrades } = (await askController(state, 'upgrade', body)) as { upgrades: GivenUpgrade[] };
  const id = upgrades[0]?.release ?? release;
  if (!options.wait) {
    const waiting = upgrades.map((one): UpgradeState => ({
      ...one,
      label: null,
      end: 'under-way',
      rule: null,
      detail: 'given; not waited for',
    }));
    show(output, id, waiting);
    return;
  }
  const timer = AbortSignal.timeout(Math.round(timeout * 1000));
  await interruptible(async (interrupted) => {
    const states = await followUpgrades(state, upgrades, AbortSignal.any([timer, interrupted]), {
      moved: (now) => {
        if (isTerminal()) output.note(`${nameOf(now)}: ${now.end}: ${cleanText(now.detail)}`);
      },
      alone: () => {
        output.note(
          'the controller has gone away; what devices were given goes on, and this waits for it to come back',
        );
      },
    });
    process.exitCode = exitOf(states);
    const left = states.filter(({ end }) => end === 'under-way').length;
    if (left > 0) {
      const when = interrupted.aborted ? 'were under way when you stopped' : `had not ended within ${timeout} s`;
      output.note(`${left} of ${states.length} ${when}, and go on: touchstone device show DEVICE`);
    }
    show(output, id, states);
  });
}

/** `touchstone upgrade`. */
export function upgradeCommand(): Command {
  return new Command('upgrade')
    .description(
      'install a published release on devices and follow each to its attested end: exit code 0 attested, 1 refused or not trusted, 3 not in time',
    )
    .argument('<device...>', 'ids, beginnings of ids, or labels')
    .requiredOption('--release <id>', 'the release id, or its beginning')
    .addOption(
      new Option('--source <path|url>', "where the devices find the release; by default the controller's copy"),
    )
    .addOption(new Option('--slot <name>', 'the slot; by default the one the release is for'))
    .addOption(new Option('--no-wait', 'give the command and return'))
    .addOption(new Option('--timeout <seconds>', 'how long to follow').default(600).argParser(secondsOf))
    .addOption(stateOption())
    .action(upgrade);
}
