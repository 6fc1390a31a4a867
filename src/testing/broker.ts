// A real Mosquitto that can be stopped, killed, frozen and started again; with a fleet's configuration, or a plain one.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TouchstoneError } from '../errors.ts';
import { takesConnections } from '../controller/takes-connections.ts';
import { endChild } from './daemon-child.ts';
import { freePorts } from './free-ports.ts';
import { Guard } from './guard.ts';

const START_LIMIT_MS = 15_000;

/** A running broker; see `startBroker`. */
export class RunningBroker implements AsyncDisposable {
  readonly #config: string;
  readonly #ports: readonly number[];
  readonly #temporary: string | null;
  readonly #guard: Guard | null;
  #child: ChildProcess | null = null;
  #said = '';

  constructor(config: string, ports: readonly number[], temporary: string | null = null) {
    this.#config = config;
    this.#ports = ports;
    this.#temporary = temporary;
    this.#guard = temporary === null ? null : new Guard(temporary);
  }

  /** Of its first listener; without TLS only where the configuration has none. */
  get url(): string {
    return `mqtt://127.0.0.1:${this.#ports[0] ?? 0}`;
  }

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What it wrote to stderr since it was first started. */
  get said(): string {
    return this.#said;
  }

  /** Resolves when every port accepts connections. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new TypeError('the broker runs already');
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
    const child = spawn('mosquitto', ['-c', this.#config], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(this.#temporary === null ? {} : { cwd: this.#temporary }),
    });
    this.#child = child;
    process.once('exit', this.#killChild);
    let failure: unknown = null;
    child.once('error', (error) => {
      failure = error;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
    for (const port of this.#ports) {
      for (const started = Date.now(); !(await takesConnections({ host: '127.0.0.1', port })); await sleep(10)) {
        if (failure === null && child.exitCode === null && Date.now() - started < START_LIMIT_MS) continue;
        await this.kill();
        throw new TouchstoneError('BUS_UNAVAILABLE', `mosquitto does not start: ${this.#said}`, { cause: failure });
      }
    }
  }

  readonly #killChild = (): void => {
    this.#child?.kill('SIGKILL');
  };

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    process.off('exit', this.#killChild);
    await endChild(child, signal);
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stopped and started again on the same ports; it forgets all sessions. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** SIGSTOP: connections stay, nothing is delivered. */
  suspend(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#temporary !== null) await rm(this.#temporary, { recursive: true, force: true });
    await this.#guard?.release();
  }
}

/** One listener of this machine, for everybody, who may say everything. */
async function plainConfiguration(): Promise<{ dir: string; config: string; port: number }> {
  const dir = await mkdtemp(join(await realpath(tmpdir()), 'broker-'));
  const [port = 0] = await freePorts(1);
  const lines = [
    `user ${userInfo().username}`,
    'persistence false',
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
  ];
  const config = join(dir, 'mosquitto.conf');
  await writeFile(config, `${lines.join('\n')}\n`);
  return { dir, config, port };
}

/**
 * Starts Mosquitto with the configuration that `fleet init` wrote (broker/mosquitto.conf), whose listeners are on `ports`; without one, a
 * plain broker for anybody on this machine. Errors: BUS_UNAVAILABLE.
 */
export async function startBroker(config?: string, ports: readonly number[] = []): Promise<RunningBroker> {
  const plain = config === undefined ? await plainConfiguration() : null;
  const broker =
    plain === null ? new RunningBroker(config ?? '', ports) : new RunningBroker(plain.config, [plain.port], plain.dir);
  try {
    await broker.start();
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
  return broker;
}
