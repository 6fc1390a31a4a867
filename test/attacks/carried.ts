// A device that gets its upgrades by hand, on a real gate, and bundles for it that a test may bend at every joint.
import { createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { authenticBy } from '../../src/agent/authentic.ts';
import { BundleDesk } from '../../src/agent/bundle-desk.ts';
import type { BundleEnd } from '../../src/agent/bundle-desk.ts';
import { CommandDesk } from '../../src/agent/command-desk.ts';
import { CommandRunner } from '../../src/agent/command-runner.ts';
import { Incoming } from '../../src/agent/incoming.ts';
import { inTurn, Mailbox } from '../../src/agent/mailbox.ts';
import { fromHex, toHex } from '../../src/bytes/text.ts';
import { systemClock } from '../../src/clock.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import type { HashPool } from '../../src/files/hash-pool.ts';
import { packUstar } from '../../src/files/ustar.ts';
import { isOpen } from '../../src/gate/trial.ts';
import { bundleEntries, modelEntry } from '../../src/protocol/bundle.ts';
import { sealChallenge } from '../../src/protocol/challenge.ts';
import type { Challenge, Instruction } from '../../src/protocol/messages.ts';
import { signStatement } from '../../src/protocol/statement.ts';
import { Device, profile } from '../gate/device.ts';
import { DAY, FLEET_ID, jsonBytes, NOW, operator, rootKeys, rootStatement, trustOf } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { signRoot } from '../../src/release/root-keys.ts';

export const DEVICE_ID = 'abcdefghijklmnopqrstuvwxyz234567';
export const challengeKey: KeyObject = createSecretKey(Buffer.alloc(32, 7));
const SESSION = Buffer.alloc(16, 1);
const SILENT = { write: () => {} };
const PROVED = Buffer.from('evidence of this moment');

export interface Entry {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Bent {
  readonly instruction?: Partial<Instruction>;
  readonly challenge?: Partial<Challenge>;
  readonly operator?: KeyObject;
  /** The entries as they are about to be packed. */
  readonly entries?: (entries: Entry[]) => readonly Entry[];
}

function filesOf(folder: string): Entry[] {
  const model = join(folder, 'model');
  const names = readdirSync(model, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(model.length + 1));
  // In the order of the statement: that of their paths, byte for byte.
  const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return sorted.map((name, index) => ({ name: modelEntry(index), bytes: readFileSync(join(model, name)) }));
}

/** The parts of a bundle with this release for slot `main`. */
export function entriesOf(made: MadeRelease, order: number, bent: Bent = {}): Entry[] {
  const challenge = sealChallenge(
    {
      v: 1,
      fleetId: fromHex(FLEET_ID),
      deviceId: DEVICE_ID,
      issuedAt: NOW,
      nonce: randomBytes(16),
      generation: 3,
      bank: 'sha256',
      pcrs: [15],
      epoch: null,
      afterSeq: 0,
      policyDigest: sha256(Buffer.from('policy')),
      kid: 'k1',
      validFor: 30 * DAY,
      ...bent.challenge,
    },
    challengeKey,
  );
  const instruction: Instruction = {
    v: 1,
    fleetId: FLEET_ID,
    deviceId: DEVICE_ID,
    id: `b-${order}`,
    slot: 'main',
    order,
    release: made.id,
    notAfter: NOW + 30 * DAY,
    challenge: toHex(sha256(challenge)),
    ...bent.instruction,
  };
  const papers = bundleEntries({
    root: jsonBytes(signRoot(rootStatement, rootKeys.slice(0, 2))),
    instruction: Buffer.from(signStatement('instruction', instruction, bent.operator ?? operator)),
    challenge,
    passport: readFileSync(join(made.folder, 'passport.json')),
    sig: readFileSync(join(made.folder, 'model.sig')),
    token: null,
  });
  return [...papers, ...filesOf(made.folder)];
}

export function bundleOf(made: MadeRelease, order: number, bent: Bent = {}): Buffer {
  const entries = entriesOf(made, order, bent);
  return packUstar(bent.entries?.(entries) ?? entries);
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 700) yield Promise.resolve(bytes.subarray(at, at + 700));
}

export class CarriedTo implements AsyncDisposable {
  readonly device: Device;
  readonly errors: unknown[] = [];
  readonly #desk: BundleDesk;
  readonly #incoming: Incoming;
  /** Device time. */
  now: number = NOW;

  private constructor(device: Device, incoming: Incoming) {
    this.device = device;
    this.#incoming = incoming;
    const { journal } = device;
    const mailbox = new Mailbox((error) => void this.errors.push(error));
    const gate = device.gate({ now: () => this.now });
    const soon = (work: () => Promise<void>): void => void mailbox.put(work);
    const commands = new CommandRunner({
      journal,
      desk: new CommandDesk({ fleetId: FLEET_ID, deviceId: DEVICE_ID, session: toHex(SESSION) }),
      session: SESSION,
      log: SILENT,
      now: () => this.now,
      hasSlot: (slot) => profile.slots.some(({ name }) => name === slot),
      install: async (body, row) => gate.install(body, row),
      beside: { incoming, soon, tell: async () => Promise.resolve() },
      takeFloors: async () => Promise.reject(new TypeError('no floors here')),
      measureAll: async () => Promise.resolve({ kind: 'command', rule: 'done', detail: 'measured' }),
    });
    const { operatorKeys, resultKeys } = trustOf();
    this.#desk = new BundleDesk({
      owner: { fleetId: fromHex(FLEET_ID), deviceId: DEVICE_ID, eventPcr: 15 },
      slots: profile.slots,
      attester: {
        commands,
        pass: async () => Promise.resolve(false),
        standing: async (slot) => {
          const { row } = await gate.standing(slot);
          return { row, stage: isOpen(row) ? 'result' : null };
        },
        answer: async ({ sealed }) =>
          Promise.resolve({
            message: Buffer.concat([sealed, PROVED]),
            logParts: [],
            sent: null as never,
            showsHead: true,
          }),
      },
      authentic: authenticBy(() => ({ operatorKeys, resultKeys })),
      incoming,
      journal,
      clock: systemClock,
      log: SILENT,
      maxBytes: 64 * 1024,
      now: () => this.now,
      inTurn: async (work) => inTurn(soon, work),
      judge: async (body, files) => gate.judgeFiles(body, files),
      takeRoot: async () => Promise.resolve(false),
    });
  }

  static async start(pool: HashPool): Promise<CarriedTo> {
    const device = new Device(pool);
    const gate = device.gate();
    await gate.recover();
    const incoming = await Incoming.open({
      stateDir: device.stateDir,
      profile: undefined,
      clock: systemClock,
      log: SILENT,
      env: {},
      judge: async (body, files) => gate.judgeFiles(body, files),
    });
    return new CarriedTo(device, incoming);
  }

  async apply(bundle: Buffer): Promise<BundleEnd> {
    return this.#desk.apply(inPieces(bundle), 'decided', () => undefined, new AbortController().signal);
  }

  /** The controller's word that ends a trial well. */
  async commit(): Promise<void> {
    await this.device.gate().commit('main');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#incoming[Symbol.asyncDispose]();
    await this.device[Symbol.asyncDispose]();
  }
}
