// A process of the proof: makes a world, plays the scenarios it is given one after the other, and tells how far it is, a JSON line each time.
import { WebServer } from '../../transfer/web-server.ts';
import { Stage } from '../../../src/testing/stage.ts';
import { emptyTally } from './cuts.ts';
import { OpLog } from './op-log.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Measure, ScenarioName } from './scenarios.ts';
import { makeWorld } from './world.ts';

const [names = '[]', measure = '{}'] = process.argv.slice(2);
const log = new OpLog(process.env['CRASH_CONTROL'] ?? '');
const library = process.env['LD_PRELOAD'] ?? '';
// What this process starts is not watched.
for (const name of ['LD_PRELOAD', 'CRASH_CONTROL']) delete process.env[name];

const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

const stage = await Stage.open();
stage.endOnSignals();
try {
  const world = await makeWorld(stage);
  await using server = await WebServer.start(stage.path('releases', 'two'));
  for (const name of JSON.parse(names) as ScenarioName[]) {
    const tally = emptyTally();
    const lane = { world, log, library, web: server.url, measure: JSON.parse(measure) as Measure, tally };
    const tell = (done: boolean): void => {
      say({ name, tally, done });
    };
    await SCENARIOS[name]({
      ...lane,
      progress: () => {
        tell(false);
      },
    });
    tell(true);
  }
} finally {
  await stage[Symbol.asyncDispose]();
}
process.exit(0);
