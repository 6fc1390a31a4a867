// Stands between an agent and a software TPM, and keeps what the TPM holds, in memory and on its own storage, after every command.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { SoftwareTpm } from '../../../src/testing/software-tpm.ts';
import { TPM_CC } from '../../../src/tpm/wire/constants.ts';

/** What a TPM held at one instant: swtpm's own files. */
export interface TpmInstant {
  readonly permanent: Buffer;
  /** Null: it was off. */
  readonly volatile: Buffer | null;
  /** How many commands that change what outlives the session went before. */
  readonly changes: number;
}

const PERMANENT = 'tpm2-00.permall';
const VOLATILE = 'tpm2-00.volatilestate';
/** CMD_STORE_VOLATILE of swtpm's control channel. */
const STORE_VOLATILE = Buffer.from('0000000a', 'hex');

/** What changes PCRs, NV storage, persistent objects or hierarchies. */
const CHANGING: ReadonlySet<number> = new Set([
  TPM_CC.NV_UndefineSpace,
  TPM_CC.EvictControl,
  TPM_CC.Clear,
  TPM_CC.HierarchyChangeAuth,
  TPM_CC.NV_DefineSpace,
  TPM_CC.NV_Increment,
  TPM_CC.NV_Extend,
  TPM_CC.NV_Write,
  TPM_CC.PCR_Event,
  TPM_CC.PCR_Reset,
  TPM_CC.PCR_Extend,
]);

export const changesTpm = (code: number): boolean => CHANGING.has(code);

export function readInstant(tpm: SoftwareTpm, changes: number): TpmInstant {
  const at = (name: string): string => join(tpm.stateDir, name);
  const volatile = existsSync(at(VOLATILE)) ? readFileSync(at(VOLATILE)) : null;
  return { permanent: readFileSync(at(PERMANENT)), volatile, changes };
}

/** Switches a TPM on that holds this: where it was on and only who talked to it died, in the middle of its life. */
export async function startFrom(tpm: SoftwareTpm, instant: TpmInstant, power: 'kept' | 'cut'): Promise<void> {
  for (const name of readdirSync(tpm.stateDir)) if (name !== '.lock') rmSync(join(tpm.stateDir, name));
  writeFileSync(join(tpm.stateDir, PERMANENT), instant.permanent);
  const resumes = power === 'kept' && instant.volatile !== null;
  if (resumes) writeFileSync(join(tpm.stateDir, VOLATILE), instant.volatile);
  await tpm.start({ bare: resumes });
}

async function answerOf(socketPath: string, bytes: Buffer): Promise<Buffer> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    socket.write(bytes);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer;
  } finally {
    socket.destroy();
  }
}

/** What happens at one command: before it is given to the TPM, and when it was carried out but not yet answered. */
export interface CommandHook {
  before(code: number): Promise<void> | void;
  after(code: number, instant: () => Promise<TpmInstant>): Promise<void> | void;
}

export class TpmTap implements AsyncDisposable {
  readonly tcti: string;
  hook: CommandHook | null = null;
  readonly #tpm: SoftwareTpm;
  readonly #servers: Server[] = [];
  readonly #open = new Set<Socket>();
  #changes = 0;

  private constructor(tpm: SoftwareTpm, path: string) {
    this.#tpm = tpm;
    this.tcti = `swtpm:path=${path}`;
  }

  static async open(tpm: SoftwareTpm, path: string): Promise<TpmTap> {
    const tap = new TpmTap(tpm, path);
    for (const suffix of ['', '.ctrl']) {
      const server = createServer((client) => {
        tap.#serve(client, `${tpm.socketPath}${suffix}`, suffix === '');
      });
      server.listen(`${path}${suffix}`);
      await once(server, 'listening');
      tap.#servers.push(server);
    }
    return tap;
  }

  /** What the TPM holds now. */
  async instant(): Promise<TpmInstant> {
    const answer = await answerOf(`${this.#tpm.socketPath}.ctrl`, STORE_VOLATILE);
    if (answer.readUInt32BE(0) !== 0) throw new TypeError(`swtpm did not store its state: ${answer.toString('hex')}`);
    return readInstant(this.#tpm, this.#changes);
  }

  /** libtss2 writes one command at a time and reads its answer whole. */
  #serve(client: Socket, target: string, commands: boolean): void {
    const tpm = connect(target);
    let code = 0;
    for (const socket of [client, tpm]) {
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#open.delete(socket);
        client.destroy();
        tpm.destroy();
      });
    }
    const gone = (): void => {
      client.destroy();
    };
    client.on('data', (bytes: Buffer) => {
      if (!commands) {
        tpm.write(bytes);
        return;
      }
      code = bytes.readUInt32BE(6);
      void Promise.resolve(this.hook?.before(code)).then(() => tpm.write(bytes), gone);
    });
    tpm.on('data', (bytes: Buffer) => {
      if (!commands) {
        client.write(bytes);
        return;
      }
      if (changesTpm(code)) this.#changes += 1;
      void Promise.resolve(this.hook?.after(code, async () => this.instant())).then(() => client.write(bytes), gone);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    for (const server of this.#servers) {
      const closed = once(server, 'close');
      server.close();
      await closed;
    }
  }
}

/** Equal for instants between which nothing changed that outlives a session. */
export function instantKey({ changes, volatile, permanent }: TpmInstant, power: 'kept' | 'cut'): string {
  return power === 'kept' && volatile !== null
    ? `kept ${changes}`
    : `cut ${createHash('sha256').update(permanent).digest('hex')}`;
}
