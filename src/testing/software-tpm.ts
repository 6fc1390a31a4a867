// A real software TPM (swtpm) as a child process with a state directory of its own, and the power switch to it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TouchstoneError } from '../errors.ts';
import { takesConnections } from '../controller/takes-connections.ts';
import { endChild } from './daemon-child.ts';
import { Guard } from './guard.ts';
import { makeSoftwareTpmState, type SetupOptions } from './software-tpm-setup.ts';

export interface SoftwareTpmOptions extends SetupOptions {
  /** Everything is written here; without it, a new temporary directory that disposal removes. */
  readonly dir?: string;
}

/** How the machine around the TPM goes down and up. clean: TPM2_Shutdown first. keepState: as suspend and resume do. */
export interface RestartOptions {
  readonly clean: boolean;
  readonly keepState?: boolean;
}

const START_LIMIT_MS = 15_000;
/** TPM2_Shutdown(CLEAR), (STATE): TPM library Part 3, 9.4. */
const SHUTDOWN_CLEAR = Buffer.from('80010000000c000001450000', 'hex');
const SHUTDOWN_STATE = Buffer.from('80010000000c000001450001', 'hex');

/** Sends one command on a connection of its own; swtpm serves one client at a time, so nobody else may be connected. */
async function sendAlone(path: string, command: Buffer): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.write(command);
    await once(socket, 'data', { signal: AbortSignal.timeout(5000) });
  } catch (cause) {
    throw new TouchstoneError(
      'TPM_UNAVAILABLE',
      'the software TPM did not take TPM2_Shutdown; is another client still connected?',
      { cause },
    );
  } finally {
    socket.destroy();
  }
}

/** A running swtpm; see `startSoftwareTpm`. */
export class SoftwareTpm implements AsyncDisposable {
  readonly dir: string;
  readonly stateDir: string;
  /** Path of the data socket; the control socket is `<path>.ctrl`, where libtss2-tcti-swtpm looks for it. */
  readonly socketPath: string;
  /** TCTI configuration that reaches it. */
  readonly tcti: string;
  readonly caDir: string;
  /** PEM files of the local authority: self-signed root, and the issuer of the EK certificates. */
  readonly rootCertificate: string;
  readonly issuerCertificate: string;
  readonly #temporary: readonly string[];
  readonly #guards: readonly Guard[];
  #child: ChildProcess | null = null;
  readonly #killChild = (): void => {
    this.#child?.kill('SIGKILL');
  };

  constructor(dir: string, socketPath: string, temporary: readonly string[]) {
    this.dir = dir;
    this.stateDir = join(dir, 'state');
    this.socketPath = socketPath;
    this.tcti = `swtpm:path=${socketPath}`;
    this.caDir = join(dir, 'ca');
    this.rootCertificate = join(this.caDir, 'swtpm-localca-rootca-cert.pem');
    this.issuerCertificate = join(this.caDir, 'issuercert.pem');
    this.#temporary = temporary;
    this.#guards = temporary.map((path) => new Guard(path));
  }

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Powers the TPM on: TPM2_Startup(CLEAR), or (STATE) after TPM2_Shutdown(STATE); `bare`: none, as firmware finds it. */
  async start(options: { keepState?: boolean; bare?: boolean } = {}): Promise<void> {
    if (this.#child !== null) throw new TypeError('the software TPM runs already');
    await rm(this.socketPath, { force: true });
    await rm(`${this.socketPath}.ctrl`, { force: true });
    const startup = options.keepState === true ? ',startup-state' : ',startup-clear';
    const args = ['socket', '--tpm2', '--tpmstate', `dir=${this.stateDir}`];
    args.push('--server', `type=unixio,path=${this.socketPath}`, '--ctrl', `type=unixio,path=${this.socketPath}.ctrl`);
    args.push(
      '--flags',
      `not-need-init${options.bare === true ? '' : startup}`,
      '--log',
      `file=${join(this.dir, 'swtpm.log')},level=1`,
    );
    const child = spawn('swtpm', args, { stdio: 'ignore', cwd: this.dir });
    this.#child = child;
    process.once('exit', this.#killChild);
    let failure: unknown = null;
    child.once('error', (error) => {
      failure = error;
    });
    for (
      const started = Date.now();
      !(await takesConnections({ path: this.socketPath })) ||
      !(await takesConnections({ path: `${this.socketPath}.ctrl` }));
    ) {
      if (failure !== null || child.exitCode !== null || Date.now() - started > START_LIMIT_MS) {
        await this.#end('SIGKILL');
        throw new TouchstoneError('TPM_UNAVAILABLE', `swtpm does not start; see ${join(this.dir, 'swtpm.log')}`, {
          cause: failure,
        });
      }
      await sleep(2);
    }
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    process.off('exit', this.#killChild);
    await endChild(child, signal);
  }

  /** Power cut: SIGKILL, nothing is saved. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the process by SIGTERM, which swtpm 0.7 does not turn into TPM2_Shutdown. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Off and on again. With `clean`, no client may be connected. */
  async restart(options: RestartOptions): Promise<void> {
    if (this.#child !== null) {
      if (options.clean) await sendAlone(this.socketPath, options.keepState === true ? SHUTDOWN_STATE : SHUTDOWN_CLEAR);
      await this.#end(options.clean ? 'SIGTERM' : 'SIGKILL');
    }
    await this.start({ keepState: options.keepState === true });
  }

  /** SIGSTOP: connections stay, answers do not come. */
  suspend(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.socketPath, { force: true });
    await rm(`${this.socketPath}.ctrl`, { force: true });
    for (const path of this.#temporary) await rm(path, { recursive: true, force: true });
    for (const guard of this.#guards) await guard.release();
  }
}

/** sun_path holds 108 bytes with its NUL; `.ctrl` must fit too. */
const LONGEST_SOCKET_PATH = 100;

/** Makes a software TPM and powers it on. Where `dir` holds one already, it is used as it is. */
export async function startSoftwareTpm(options: SoftwareTpmOptions = {}): Promise<SoftwareTpm> {
  const temporary: string[] = [];
  const dir = options.dir ?? (await mkdtemp(join(await realpath(tmpdir()), 'swtpm-')));
  if (options.dir === undefined) temporary.push(dir);
  let socketPath = join(dir, 's');
  if (Buffer.byteLength(socketPath) > LONGEST_SOCKET_PATH) {
    const short = await mkdtemp('/tmp/swtpm-');
    temporary.push(short);
    socketPath = join(short, 's');
  }
  const tpm = new SoftwareTpm(dir, socketPath, temporary);
  try {
    if (!existsSync(join(tpm.stateDir, 'tpm2-00.permall'))) await makeSoftwareTpmState(dir, options);
    await tpm.start();
  } catch (error) {
    await tpm[Symbol.asyncDispose]();
    throw error;
  }
  return tpm;
}
