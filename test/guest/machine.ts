// A small Linux machine under QEMU's software emulation with swtpm as its TPM, and a line on which it takes commands.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { KERNEL } from './image.ts';

export interface GuestOptions {
  /** Console, sockets; short, because a socket's path is. */
  readonly dir: string;
  /** swtpm's state folder. */
  readonly tpmState: string;
  readonly initrd: string;
  /** `bios` measures little and boots fast; `uefi` measures kernel and first file system too. */
  readonly firmware: 'bios' | 'uefi';
}

export interface Ran {
  readonly code: number;
  readonly output: string;
}

/** Kernel parameters. The root stays a ramfs because IMA's policy leaves tmpfs out. */
const PARAMETERS = 'console=ttyS0 rootfstype=ramfs ima_policy=tcb ima_hash=sha256 panic=-1 quiet loglevel=4';
const BOOT_LIMIT_MS = 300_000;
const COMMAND_LIMIT_MS = 300_000;
const PIECE = 4096;

/** Without what the emulator learned last, AVX and protection keys among it: Node's compiler fell over those now and then. */
const CPU = 'Westmere,+rdrand';
const FIRMWARE = '/usr/share/OVMF';

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A machine that runs; see `bootGuest`. */
export class Guest implements AsyncDisposable {
  readonly #machine: Child;
  readonly #tpm: Child;
  readonly #consolePath: string;
  readonly #lines: AsyncIterator<string>;
  #number = 0;

  constructor(machine: Child, tpm: Child, consolePath: string) {
    this.#machine = machine;
    this.#tpm = tpm;
    this.#consolePath = consolePath;
    this.#lines = createInterface({ input: machine.stdout })[Symbol.asyncIterator]();
  }

  async #line(limit: number): Promise<string> {
    const silent = Symbol('silent');
    const stop = new AbortController();
    const line = await Promise.race([
      this.#lines.next(),
      sleep(limit, silent, { signal: stop.signal }).catch(() => silent),
    ]);
    stop.abort();
    if (typeof line === 'symbol' || line.done === true) {
      const { exitCode, signalCode } = this.#machine;
      const state = exitCode === null && signalCode === null ? 'runs' : `ended (${exitCode ?? signalCode})`;
      throw new Error(`the guest ${state} and says nothing; its console:\n${(await this.console()).slice(-4000)}`);
    }
    return line.value;
  }

  /** Waits until the guest takes commands. */
  async ready(): Promise<void> {
    while (!(await this.#line(BOOT_LIMIT_MS)).endsWith('ready'));
  }

  /** Runs a shell command as root, one at a time. Output is stdout and stderr together. */
  async run(command: string, limit: number = COMMAND_LIMIT_MS): Promise<Ran> {
    const number = ++this.#number;
    this.#machine.stdin.write(`${number} ${Buffer.from(command).toString('base64')}\n`);
    const [answered, code, output = ''] = (await this.#line(limit)).split(' ');
    if (Number(answered) !== number) throw new Error(`the guest answered ${answered} to command ${number}`);
    return { code: Number(code), output: Buffer.from(output, 'base64').toString() };
  }

  /** A file of the guest, also one of /sys that tells no size. */
  async read(path: string): Promise<Buffer> {
    const { code, output } = await this.run(`base64 ${path}`);
    if (code !== 0) throw new Error(`cannot read ${path} in the guest: ${output}`);
    return Buffer.from(output, 'base64');
  }

  /** Writes a file of the guest, in pieces that its serial line takes without losing any. */
  async write(path: string, content: Buffer): Promise<void> {
    for (let at = 0; at < content.length; at += PIECE) {
      const piece = content.subarray(at, at + PIECE).toString('base64');
      const { code, output } = await this.run(`echo ${piece} | base64 -d ${at === 0 ? '>' : '>>'}${path}`);
      if (code !== 0) throw new Error(`cannot write ${path} in the guest: ${output}`);
    }
  }

  /** What the kernel wrote to its console. */
  async console(): Promise<string> {
    return readFile(this.#consolePath, 'latin1').catch(() => '');
  }

  /** Power cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#machine, this.#tpm]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
  }
}

function start(program: string, args: readonly (readonly string[])[]): Child {
  const child = spawn(program, args.flat(), { stdio: ['pipe', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function startTpm(dir: string, state: string, control: string): Promise<Child> {
  // QEMU gives the data connection itself, over the control connection, and powers the TPM on and off.
  const tpm = start('swtpm', [
    ['socket', '--tpm2', '--terminate'],
    ['--tpmstate', `dir=${state}`],
    ['--ctrl', `type=unixio,path=${control}`],
    ['--log', `file=${join(dir, 'tpm.log')}`],
  ]);
  for (let waited = 0; !existsSync(control); waited += 1) {
    if (waited > 2000 || tpm.exitCode !== null) throw new Error('swtpm does not start');
    await sleep(5);
  }
  return tpm;
}

/** Arguments for the firmware. Its variables are new at each start, so that the same boot gives the same measurements. */
async function firmwareArguments(firmware: GuestOptions['firmware'], dir: string): Promise<string[][]> {
  if (firmware === 'bios') return [];
  const variables = join(dir, 'variables.fd');
  await copyFile(join(FIRMWARE, 'OVMF_VARS_4M.fd'), variables);
  return [
    ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${join(FIRMWARE, 'OVMF_CODE_4M.fd')}`],
    ['-drive', `if=pflash,unit=1,format=raw,file=${variables}`],
  ];
}

/** Powers a machine on and waits until it takes commands. */
export async function bootGuest({ dir, tpmState, initrd, firmware }: GuestOptions): Promise<Guest> {
  const control = join(dir, 'tpm.ctrl');
  const consolePath = join(dir, 'console.log');
  const firmwareGiven = await firmwareArguments(firmware, dir);
  const tpm = await startTpm(dir, tpmState, control);
  const machine = start('qemu-system-x86_64', [
    ['-accel', 'tcg', '-cpu', CPU, '-M', 'q35', '-m', '1536', '-smp', '2', '-no-reboot', '-nodefaults'],
    ['-display', 'none', '-kernel', KERNEL, '-initrd', initrd, '-append', PARAMETERS],
    [
      '-chardev',
      `socket,id=ct,path=${control}`,
      '-tpmdev',
      'emulator,id=t0,chardev=ct',
      '-device',
      'tpm-tis,tpmdev=t0',
    ],
    ['-netdev', 'user,id=n0', '-device', 'e1000,netdev=n0'],
    ['-serial', `file:${consolePath}`, '-serial', 'stdio'],
    ...firmwareGiven,
  ]);
  const guest = new Guest(machine, tpm, consolePath);
  try {
    await guest.ready();
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
  return guest;
}
