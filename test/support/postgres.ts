// A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, as a user who may do nothing else.
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** PostgreSQL refuses to be root; nobody can be somebody here. */
const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;
const OWNER = IS_ROOT ? { uid: NOBODY, gid: NOBODY } : {};
const PORT = 5432;
const USER = 'touchstone';
const DEBIAN = '/usr/lib/postgresql';

/** The folder of the server's programs, the newest; null when it is not installed. */
export function postgresPrograms(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(DEBIAN, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  return found ?? null;
}

export class PostgresServer implements AsyncDisposable {
  readonly #bin: string;
  readonly #folder: string;
  /** Folder of the socket. */
  #socket: string;
  #child: ChildProcess | null = null;
  #databases = 0;
  #dumps = 0;

  private constructor(bin: string, folder: string) {
    this.#bin = bin;
    this.#folder = folder;
    this.#socket = folder;
  }

  /** Makes a server and starts it. */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    const bin = postgresPrograms();
    if (bin === null) throw new Error('PostgreSQL is not installed: apt-get install postgresql, or npm test');
    const folder = mkdtempSync(join(tmpdir(), 'pg-'));
    if (IS_ROOT) chownSync(folder, NOBODY, NOBODY);
    const server = new PostgresServer(bin, folder);
    server.program('initdb', '-D', server.#data, '-U', USER, '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync');
    await server.run(settings);
    return server;
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  /** Stops it, and starts it again after `work`, during which nobody else reaches it. */
  async apart(work: () => void): Promise<void> {
    await this.stop();
    this.#socket = join(this.#folder, 'apart');
    if (!existsSync(this.#socket)) mkdirSync(this.#socket);
    if (IS_ROOT) chownSync(this.#socket, NOBODY, NOBODY);
    await this.run();
    work();
    await this.stop();
    this.#socket = this.#folder;
    await this.run();
  }

  /** Runs one of PostgreSQL's programs on this server; what it prints. */
  program(name: string, ...args: readonly string[]): string {
    const env = { ...process.env, PGHOST: this.#socket, PGUSER: USER };
    return execFileSync(join(this.#bin, name), args, {
      ...OWNER,
      env,
      cwd: this.#folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Writes a file of its data folder, for itself only. */
  keep(name: string, content: string): void {
    const file = join(this.#data, name);
    writeFileSync(file, content, { mode: 0o600 });
    if (IS_ROOT) chownSync(file, NOBODY, NOBODY);
  }

  /** Starts it again, after it was stopped or killed. */
  async run(settings: readonly string[] = []): Promise<void> {
    const args = ['-D', this.#data, '-k', this.#socket, '-c', 'listen_addresses=', '-c', 'logging_collector=off'];
    const child = spawn(join(this.#bin, 'postgres'), [...args, ...settings.flatMap((one) => ['-c', one])], {
      ...OWNER,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    while (!this.#isReady()) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`);
      await sleep(10);
    }
  }

  #isReady(): boolean {
    try {
      const lines = readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n');
      return Number(lines[0]) === this.#child?.pid && lines[7]?.trim() === 'ready';
    } catch {
      return false;
    }
  }

  /** The address of a fresh, empty database. */
  database(port: number = PORT): string {
    this.#databases += 1;
    const name = `fleet${this.#databases}`;
    this.program('createdb', '-p', `${port}`, name);
    return this.address(name);
  }

  address(name: string): string {
    return `postgres:///${name}?host=${this.#folder}&user=${USER}`;
  }

  /** What the SQL gives, one line a row. */
  ask(address: string, sql: string, port: number = PORT): string {
    return this.program(
      'psql',
      '-XAtq',
      '-p',
      `${port}`,
      '-v',
      'ON_ERROR_STOP=1',
      '-d',
      new URL(address).pathname.slice(1),
      '-c',
      sql,
    ).trim();
  }

  /** Keeps a database's tables as they are now; the function puts them back. */
  dump(address: string): (into: string) => void {
    this.#dumps += 1;
    const copy = join(this.#folder, `dump-${this.#dumps}`);
    this.program('pg_dump', '-n', 'touchstone', '-f', copy, new URL(address).pathname.slice(1));
    return (into) => {
      this.ask(into, 'DROP SCHEMA touchstone CASCADE');
      this.program('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', new URL(into).pathname.slice(1), '-f', copy);
    };
  }

  /** SIGTERM waits for those connected, SIGINT sends them away, SIGKILL is a power cut for it. */
  async stop(signal: 'SIGINT' | 'SIGKILL' | 'SIGTERM' = 'SIGINT'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    this.#child = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
