// Builds a controller from its real parts, by hand, and runs it until it is told to stop.
import { join, resolve } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { connectMqttBus } from '../bus/mqtt-bus.ts';
import type { Bus } from '../bus/bus.ts';
import { systemClock } from '../clock.ts';
import { assertFree } from '../controller/control-server.ts';
import { Controller } from '../controller/controller.ts';
import { ExportFile } from '../controller/export-file.ts';
import { lineLog } from '../log.ts';
import type { Log } from '../log.ts';
import { packageVersion } from './version.ts';
import { loadSettings, STATE_FILES } from '../controller/settings.ts';
import type { Settings } from '../controller/settings.ts';
import { openRegistry } from '../controller/open-registry.ts';
import { ConfigError, isPassing, TouchstoneError } from '../errors.ts';
import { endWarning } from './fleet-text.ts';

export interface ControllerRun {
  readonly state: string;
  readonly log: 'text' | 'json';
  readonly signal: AbortSignal;
}

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;

/** The name in the client certificate: the broker goes by it whatever the client calls itself. */
function nameOf(certPem: string): string {
  const name = /^CN=(.+)$/m.exec(new X509Certificate(certPem).subject)?.[1];
  if (name === undefined) throw new ConfigError('CONFIG_INVALID', `${STATE_FILES.tlsCertificate} names nobody`);
  return name;
}

async function connect({ trust, tls }: Settings): Promise<Bus> {
  const { url, caPem } = trust.fleet.broker;
  return connectMqttBus({ url, caPem, ...tls, clientId: nameOf(tls.certPem) });
}

/** Tries until it is there: brokers and databases may start later than we do. Null: stopped. */
async function patiently<T>(what: string, open: () => Promise<T>, log: Log, signal: AbortSignal): Promise<T | null> {
  for (let wait = RETRY_MIN_MS; !signal.aborted; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof TouchstoneError && isPassing(error))) throw error;
      log.write('warning', what, `${error.message}; trying again`);
      await systemClock.sleep(wait, signal).catch(() => undefined);
    }
  }
  return null;
}

/** Runs until `signal`. Errors: TouchstoneError of whatever can't be gone on with. */
export async function runController(run: ControllerRun): Promise<void> {
  const stateDir = resolve(run.state);
  const log = lineLog(
    run.log,
    () => systemClock.now(),
    (line) => process.stderr.write(line),
  );
  const settings = loadSettings(stateDir, systemClock.now());
  // Before the broker knows of us: it would end the connection of a controller with the same name.
  await assertFree(join(stateDir, STATE_FILES.socket));
  const ending = endWarning(settings.trust.root, systemClock.now());
  if (ending !== null) log.write('warning', settings.trust.expired ? 'root-expired' : 'root-ends', ending);
  await using registry = await patiently('registry', async () => openRegistry(settings), log, run.signal);
  if (registry === null) return;
  await using bus = await patiently('broker', async () => connect(settings), log, run.signal);
  if (bus === null) return;
  const controller = new Controller({
    settings,
    registry,
    bus,
    clock: systemClock,
    log,
    random: Math.random,
    build: `touchstone ${packageVersion()}`,
  });
  const { fleetExport: path } = settings.file;
  await using exported =
    path === undefined ? null : new ExportFile({ stateDir, path, registry, clock: systemClock, log });
  const onHangUp = (): void => {
    controller.reload();
    void exported?.look();
  };
  process.on('SIGHUP', onHangUp);
  try {
    await controller.run(run.signal, () => {
      const { fleetId } = settings.trust.fleet;
      log.write('info', 'ready', `controller of fleet ${fleetId} is ready`, { fleetId });
    });
    log.write('info', 'stopped', 'stopped');
  } finally {
    process.off('SIGHUP', onHangUp);
  }
}
