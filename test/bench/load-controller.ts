// A controller in a process of its own for the throughput benchmark: real SQLite, real MQTT, as the binary wires it.
import type { RunningController } from '../support/running-controller.ts';
import { startController } from '../support/running-controller.ts';
import { fleetAt } from './load-messages.ts';
import type { ControllerCount, FromController, ToController } from './load-messages.ts';

/** A few devices stand for many: each may attest as often as all of those together. */
const RATE = { perSecond: 1e6, burst: 1e6 };
const RATES = { evidence: RATE, log: RATE, status: RATE, enrol: RATE, newcomers: RATE, strangers: RATE };

let running: RunningController | null = null;

async function count(): Promise<ControllerCount> {
  if (running === null) throw new TypeError('the controller runs first');
  const { evidence } = await running.controller.health();
  const { user, system } = process.cpuUsage();
  const memory = process.memoryUsage.rss();
  return { done: 'count', accepted: evidence.accepted, refused: evidence.refused, cpu: (user + system) / 1e6, memory };
}

async function answer(message: ToController): Promise<FromController> {
  if (message.do === 'count') return count();
  running = await startController(fleetAt(message.fleet), { rates: RATES });
  return { done: 'run' };
}

process.on('message', (message: ToController) => {
  answer(message).then(
    (reply) => process.send?.(reply),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
// Without the benchmark there is nobody to serve.
process.on('disconnect', () => process.exit(0));
