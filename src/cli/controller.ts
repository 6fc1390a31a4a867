// `touchstone controller`: options in, the daemon's run, an exit code out.
import { Command, Option } from 'commander';

export interface ControllerOptions {
  readonly state: string;
  readonly log: 'text' | 'json';
}

async function run(options: ControllerOptions): Promise<void> {
  // Loaded only here: help and completion need none of it.
  const { runController } = await import('./controller-wiring.ts');
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  await runController({ ...options, signal: stop.signal });
}

/** Where operators' commands and the daemon find the controller's files. */
export function stateOption(): Option {
  return new Option('--state <dir>', "the controller's state directory")
    .env('TOUCHSTONE_STATE')
    .default('/var/lib/touchstone-controller');
}

/** `touchstone controller`. */
export function controllerCommand(): Command {
  return new Command('controller')
    .description(
      "run the fleet's daemon: ask devices for evidence, judge it, act on it; SIGHUP reads profiles and releases again",
    )
    .addOption(stateOption())
    .addOption(new Option('--log <format>', 'log lines on stderr').choices(['text', 'json']).default('text'))
    .action(run);
}
