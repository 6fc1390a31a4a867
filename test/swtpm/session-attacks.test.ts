// Somebody on the bus between us and the TPM: what he changes is noticed before a byte of it is used, what is secret he does not read.
import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, sized } from '../../src/bytes/wire.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { kdfA, kdfE } from '../../src/crypto/kdf.ts';
import { hierarchyChangeAuth } from '../../src/tpm/commands/hierarchy.ts';
import { nvDefine, nvRead, nvReadPublic, nvWrite, type NvIndex } from '../../src/tpm/commands/nv.ts';
import { create, createPrimary, load, unseal, type LoadedObject } from '../../src/tpm/commands/objects.ts';
import { getRandom } from '../../src/tpm/commands/random.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { makeCredential } from '../../src/tpm/make-credential.ts';
import { CommandQueue } from '../../src/tpm/queue.ts';
import type { Session } from '../../src/tpm/sessions/session.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { TpmError } from '../../src/tpm/tpm-error.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { TPM_ALG, TPM_CC, TPM_RH, TPMA_NV } from '../../src/tpm/wire/constants.ts';
import { TpmsEccPoint } from '../../src/tpm/wire/credential.ts';
import { objectName } from '../../src/tpm/wire/names.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { SEALED_TEMPLATE, SRK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { impostor, type Impostor } from '../support/impostor-key.ts';
import { flipped } from '../support/tpm-bench.ts';
import { tapped, type TappedTransport } from '../support/tapped-transport.ts';

const OWNER_VALUE = Buffer.alloc(32, 0x5a);
const SECRET = randomBytes(32);
const OBJECT_VALUE = randomBytes(16);

let software: SoftwareTpm;
let tap: TappedTransport;
let tpm: CommandQueue;
let srk: LoadedObject;
let sealed: LoadedObject;
let index: NvIndex;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
  tap = tapped(await openSocketTransport({ path: software.socketPath }));
  tpm = new CommandQueue(tap);
  srk = await createPrimary(tpm, TPM_RH.OWNER, SRK_TEMPLATE);
  await using session = await startSession(tpm, { salt: { key: srk, pinnedName: srk.name } });
  const sensitive = { data: SECRET, auth: OBJECT_VALUE };
  sealed = await load(
    tpm,
    srk,
    await create(tpm, srk, SEALED_TEMPLATE, sensitive, session.use({ encryptCommand: true })),
  );
  const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA;
  const area = { nvIndex: 0x01800010, nameAlg: TPM_ALG.SHA256, attributes, authPolicy: Buffer.alloc(0), dataSize: 8 };
  await nvDefine(tpm, area);
  await nvWrite(tpm, area.nvIndex, Buffer.alloc(8, 9), { authHandle: TPM_RH.OWNER });
  index = await nvReadPublic(tpm, area.nvIndex);
  await hierarchyChangeAuth(
    tpm,
    TPM_RH.OWNER,
    OWNER_VALUE,
    session.use({ authAfter: OWNER_VALUE, encryptCommand: true }),
  );
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
  await software[Symbol.asyncDispose]();
});

interface Exchange {
  readonly name: string;
  readonly code: number;
  readonly run: (session: Session) => Promise<Buffer | undefined>;
}

/** Every command that brings a secret to the TPM or from it, or whose answer something is decided by. */
const EXCHANGES: readonly Exchange[] = [
  {
    name: 'GetRandom',
    code: TPM_CC.GetRandom,
    run: async (session) => getRandom(tpm, 16, () => session.use({ encryptResponse: true })),
  },
  {
    name: 'Unseal',
    code: TPM_CC.Unseal,
    run: async (session) => unseal(tpm, sealed, session.use({ auth: OBJECT_VALUE, encryptResponse: true })),
  },
  {
    name: 'HierarchyChangeAuth',
    code: TPM_CC.HierarchyChangeAuth,
    run: async (session) => {
      const use = session.use({ auth: OWNER_VALUE, authAfter: OWNER_VALUE, encryptCommand: true });
      await hierarchyChangeAuth(tpm, TPM_RH.OWNER, OWNER_VALUE, use);
      return undefined;
    },
  },
  {
    name: 'NV_Read',
    code: TPM_CC.NV_Read,
    run: async (session) => nvRead(tpm, index, { authHandle: index, auth: () => session.use() }),
  },
];

/** Runs the exchange in a session of its own, with its answer changed. */
async function runChanged({ code, run }: Exchange, change: (response: Buffer) => Buffer): Promise<Buffer | undefined> {
  await using session = await startSession(tpm, { salt: { key: srk, pinnedName: srk.name } });
  tap.change = (response, of) => (of === code ? change(response) : response);
  try {
    return await run(session);
  } finally {
    tap.change = (response) => response;
  }
}

async function refusalOf(exchange: Exchange, change: (response: Buffer) => Buffer): Promise<string> {
  const outcome = await runChanged(exchange, change).then(
    () => 'accepted',
    (error: unknown) => error,
  );
  return outcome instanceof TpmError ? outcome.code : String(outcome);
}

/** The answer of the exchange as it comes. */
async function genuine(exchange: Exchange): Promise<Buffer> {
  const kept: Buffer[] = [];
  await runChanged(exchange, (response) => {
    kept.push(Buffer.from(response));
    return response;
  });
  const [first] = kept;
  if (first === undefined) throw new Error('no answer was seen');
  return first;
}

/** The first `length` bytes, with a header that says so. */
function shortened(response: Buffer, length: number): Buffer {
  const short = Buffer.from(response.subarray(0, length));
  if (length >= 6) short.writeUInt32BE(length, 2);
  return short;
}

describe.each(EXCHANGES)('the answer to $name', (exchange) => {
  test('is refused for each of its bits that was flipped', async () => {
    const bits = (await genuine(exchange)).length * 8;
    const refused = new Map<string, number>();
    for (let bit = 0; bit < bits; bit += 1) {
      const code = await refusalOf(exchange, (response) => flipped(response, bit));
      refused.set(code, (refused.get(code) ?? 0) + 1);
    }
    expect([...refused.keys()].filter((code) => code !== 'TPM_SESSION' && code !== 'TPM_RESPONSE')).toEqual([]);
    expect([...refused.values()].reduce((sum, count) => sum + count, 0)).toBe(bits);
  });

  test('is refused at every length that is not its own', async () => {
    const { length } = await genuine(exchange);
    for (let short = 0; short < length; short += 1) {
      const code = await refusalOf(exchange, (response) => shortened(response, short));
      expect(code).toMatch(/^TPM_(?:SESSION|RESPONSE)$/);
    }
    const longer = (response: Buffer): Buffer =>
      shortened(Buffer.concat([response, Buffer.alloc(1)]), response.length + 1);
    expect(await refusalOf(exchange, longer)).toBe('TPM_RESPONSE');
  });

  test('is refused when it is an answer of before, or of another session', async () => {
    const old = await genuine(exchange);
    expect(await refusalOf(exchange, () => old)).toBe('TPM_SESSION');
  });

  test('is refused without the session in it', async () => {
    const bare = Buffer.from('80010000000a00000000', 'hex');
    expect(await refusalOf(exchange, () => bare)).toBe('TPM_RESPONSE');
  });
});

test('what is taken when nobody changes anything is what the TPM said', async () => {
  const [, unsealing, , reading] = EXCHANGES;
  if (unsealing === undefined || reading === undefined) throw new TypeError('no such exchange');
  expect(await runChanged(unsealing, (response) => response)).toEqual(SECRET);
  expect(await runChanged(reading, (response) => response)).toEqual(Buffer.alloc(8, 9));
});

test('no secret was on the bus: not the sealed data, not an auth value, in all of these exchanges', async () => {
  for (const exchange of EXCHANGES) await genuine(exchange);
  const readable = [SECRET, OBJECT_VALUE, OWNER_VALUE].filter((secret) =>
    Buffer.concat(tap.seen).includes(secret.subarray(0, 8)),
  );
  expect(readable).toEqual([]);
});

describe('activating a credential', () => {
  test('gives the secret as it is or none, for each bit of the answer that was flipped, and never shows it on the bus', async () => {
    await using other = await startSoftwareTpm({ ekCertificates: false });
    const bus = tapped(await openSocketTransport({ path: other.socketPath }));
    await using device = await openDeviceTpm({ transport: bus });
    const identity = await device.identity();
    const value = randomBytes(32);
    const made = makeCredential(decode(TpmtPublic, identity.ekPublic), identity.akName, value);
    const activate = async (): Promise<Buffer | string> =>
      device.activateCredential(made.credentialBlob, made.secret).catch((error: unknown) => {
        if (error instanceof TpmError) return error.code;
        throw error;
      });
    expect(await activate()).toEqual(value);
    const bits =
      (bus.seen.findLast((_, at) => bus.seen[at - 1]?.readUInt32BE(6) === TPM_CC.ActivateCredential)?.length ?? 0) * 8;
    expect(bits).toBeGreaterThan(0);
    let refused = 0;
    const taken: Buffer[] = [];
    for (let bit = 0; bit < bits; bit += 1) {
      bus.change = (response, code) => (code === TPM_CC.ActivateCredential ? flipped(response, bit) : response);
      const outcome = await activate();
      if (typeof outcome === 'string') refused += 1;
      else taken.push(outcome);
    }
    expect(taken.filter((outcome) => !outcome.equals(value))).toEqual([]);
    // Not refused is only what the policy session, which hides nothing and is used once, says about itself.
    expect(bits - refused).toBeLessThanOrEqual((32 + 1) * 8);
    expect(Buffer.concat(bus.seen).includes(value.subarray(0, 8))).toBe(false);
  });
});

describe('a key put in the place of the one that salts sessions', () => {
  /** What the attacker computes from the salt that was encrypted to his key. */
  const sessionKeyOf = ({ key, x }: Impostor, command: Buffer, answer: Buffer): Buffer => {
    // Header 10, two handles, TPM2B nonceCaller of 32, TPM2B encryptedSalt.
    const nonceCaller = command.subarray(20, 52);
    const salt = decode(TpmsEccPoint, command.subarray(54, 54 + command.readUInt16BE(52)));
    const z = key.computeSecret(Buffer.concat([Buffer.from([4]), salt.x, salt.y]));
    const seed = kdfE('sha256', z, 'SECRET', salt.x, x, 256);
    const nonceTpm = decode(sized(64), answer.subarray(14));
    return kdfA('sha256', seed, 'ATH', nonceTpm, nonceCaller, 256);
  };

  async function attacked(pinned: boolean): Promise<{ code: string; seen: Buffer[]; thief: Impostor }> {
    await using other = await startSoftwareTpm({ ekCertificates: false });
    const first = await openDeviceTpm({ transport: await openSocketTransport({ path: other.socketPath }) });
    const ekName = objectName(decode(TpmtPublic, (await first.identity()).ekPublic));
    await first[Symbol.asyncDispose]();
    const bus = tapped(await openSocketTransport({ path: other.socketPath }));
    const thief = impostor();
    bus.change = thief.swap;
    await using device = await openDeviceTpm({ transport: bus, ...(pinned ? { ekName } : {}) });
    const outcome = await device.random(16).then(
      () => 'accepted',
      (error: unknown) => error,
    );
    return { code: outcome instanceof TpmError ? outcome.code : String(outcome), seen: [...bus.seen], thief };
  }

  const started = (seen: readonly Buffer[]): number =>
    seen.findIndex((bytes) => bytes.readUInt32BE(6) === TPM_CC.StartAuthSession);

  test('is refused by the Name learned at enrolment, before anything is encrypted to it', async () => {
    const { code, seen } = await attacked(true);
    expect(code).toBe('TPM_SESSION');
    expect(started(seen)).toBe(-1);
  });

  test('would without that Name give the attacker the session key', async () => {
    const { seen, thief } = await attacked(false);
    const at = started(seen);
    const [command, answer, next] = seen.slice(at, at + 3);
    if (command === undefined || answer === undefined || next === undefined) throw new Error('no session was started');
    const key = sessionKeyOf(thief, command, answer);
    // TPM2_GetRandom: header 10, size 4, session 4, TPM2B nonceCaller of 32, attributes, TPM2B hmac of 32, parameters.
    const nonceCaller = next.subarray(20, 52);
    const attributes = next.subarray(52, 53);
    const cpHash = sha256(next.subarray(6, 10), next.subarray(87));
    const nonceTpm = decode(sized(64), answer.subarray(14));
    const hmac = createHmac('sha256', key)
      .update(Buffer.concat([cpHash, nonceCaller, nonceTpm, attributes]))
      .digest();
    expect(next.subarray(55, 87)).toEqual(hmac);
  });
});
