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
import { openSqliteRegistry } from '../controller/sqlite-registry.ts';
import { BusError, ConfigError } from '../errors.ts';
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

/** Tries until connected; the broker may start later than we do. Null: stopped. */
async function connect({ trust, tls }: Settings, log: Log, signal: AbortSignal): Promise<Bus | null> {
  const { url, caPem } = trust.fleet.broker;
  for (let wait = RETRY_MIN_MS; !signal.aborted; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    try {
      return await connectMqttBus({ url, caPem, ...tls, clientId: nameOf(tls.certPem) });
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      log.write('warning', 'broker', `${error.message}; trying again`);
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
  await using registry = openSqliteRegistry(join(stateDir, STATE_FILES.registry));
  await using bus = await connect(settings, log, run.signal);
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
