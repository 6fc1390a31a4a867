// `touchstone demo`: the whole product on this machine, step by step, and whether each step was as expected.
import { Command } from 'commander';
import { play, verdict } from '../testing/play.ts';
import type { Played, Step } from '../testing/play.ts';
import { Stage } from '../testing/stage.ts';
import { Theatre } from '../demo/theatre.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf } from './output.ts';
import type { Output } from './output.ts';

function told(
  output: Output,
  count: number,
): { before(step: Step, n: number): void; after(played: Played, n: number): void } {
  const say = (line: string): void => {
    if (output.json) output.note(line);
    else process.stdout.write(`${line}\n`);
  };
  return {
    before: (step, n) => {
      say(`\n${output.paint('bold', `${n}/${count}  ${step.title}`)}`);
      say(output.paint('dim', `      ${step.command}`));
    },
    after: ({ expected, seen, ms }) => {
      const mark = seen.ok ? output.paint('green', 'as expected') : output.paint('red', 'NOT AS EXPECTED');
      say(`      expected  ${expected}`);
      say(`      saw       ${cleanText(seen.saw)}`);
      say(`      ${mark} ${output.paint('dim', `(${(ms / 1000).toFixed(1)} s)`)}`);
      if (!seen.ok) for (const line of seen.more ?? []) say(`        ${cleanText(line)}`);
    },
  };
}

/** What to try while everything still runs. */
function tryNext(theatre: Theatre, main: string): string {
  const touchstone = `${process.execPath} ${main}`;
  const [controller, device] = [theatre.controllerState, theatre.deviceState];
  return [
    `Everything is still running in ${theatre.stage.dir}. Try:`,
    `  ${touchstone} device show ${theatre.deviceId} --state ${controller}`,
    `  ${touchstone} status --state ${device}`,
    `  echo >> ${theatre.modelFile}/labels.txt; ${touchstone} device attest ${theatre.deviceId} --state ${controller}`,
    `When you have seen enough:`,
    `  kill ${theatre.stage.actors.map((actor) => actor.pid).join(' ')}; rm -rf ${theatre.stage.dir}`,
  ].join('\n');
}

async function demo({ keep }: { keep?: boolean }, command: Command): Promise<void> {
  const output = outputOf(command);
  const [, main = ''] = process.argv;
  await using stage = await Stage.open();
  stage.endOnSignals();
  const theatre = await Theatre.open(stage, main);
  const { steps } = await import('../demo/steps.ts');
  const list = steps(theatre);
  const played = await play(list, told(output, list.length), () => performance.now());
  const { ok, words } = verdict(played, list.length);
  if (!ok) process.exitCode = EXIT.against;
  const rows = played.map(({ title, command: typed, expected, seen, ms }) => ({
    title,
    command: typed,
    expected,
    saw: seen.saw,
    asExpected: seen.ok,
    ms: Math.round(ms),
  }));
  output.result({ ok, steps: rows }, () => `\n${output.paint(ok ? 'green' : 'red', words)}`);
  if (keep !== true) return;
  await stage.keep();
  output.note(tryNext(theatre, main));
  // The children go on; this process must not wait for them.
  process.exit();
}

/** `touchstone demo`. */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'play the whole product on this machine: a device with a software TPM, a broker and a controller.\n' +
        'Needs swtpm, swtpm-tools and mosquitto. Exit code 0 when every step was as expected.',
    )
    .option('--keep', 'leave everything running at the end, and say what to try')
    .action(demo);
}
