// A real Mosquitto with the configuration of a fleet, on free ports, that can be stopped, killed and started again.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 15_000;

/** `count` TCP ports of 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
    ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A running broker; see `startBroker`. */
export class TestBroker implements AsyncDisposable {
  readonly #config: string;
  readonly #ports: readonly number[];
  #child: ChildProcess | null = null;
  #said = '';

  constructor(config: string, ports: readonly number[]) {
    this.#config = config;
    this.#ports = ports;
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
    const child = spawn('mosquitto', ['-c', this.#config], { stdio: ['ignore', 'ignore', 'pipe'] });
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
      for (const started = Date.now(); !(await accepts(port)); await sleep(10)) {
        if (failure === null && child.exitCode === null && Date.now() - started < START_LIMIT_MS) continue;
        await this.kill();
        throw new Error(`mosquitto does not start: ${this.#said}`, { cause: failure });
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
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGTERM') child.kill('SIGCONT');
    await gone;
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
  }
}

/** Starts Mosquitto with the configuration that `fleet init` wrote (broker/mosquitto.conf); `ports` are its listeners'. */
export async function startBroker(config: string, ports: readonly number[]): Promise<TestBroker> {
  const broker = new TestBroker(config, ports);
  await broker.start();
  return broker;
}
