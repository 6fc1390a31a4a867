// The TPM's auth values in escrow: sealed to the key that the root names and to no other, for one device, until the controller has them.
import { beforeEach, describe, expect, test } from 'vitest';
import { EscrowKeeper } from '../../src/agent/escrow-keeper.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { generateKey, keyId, publicPem } from '../../src/crypto/ecdsa.ts';
import { escrowKeyId, openEscrow } from '../../src/evidence/escrow.ts';
import type { RootStatement } from '../../src/release/types.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';

const key = generateKey('p256');
const next = generateKey('p256');
const of = { deviceId: 'abcdefghijklmnopqrstuvwxyz234567', ekName: Buffer.alloc(34, 1) };
const secret = Buffer.from('{"v":1,"owner":"…"}');
const named = (one: typeof key): RootStatement['escrow'] & object => ({
  id: keyId(one.publicKey),
  publicPem: publicPem(one.publicKey),
});

let journal: MemoryJournal;
let root: RootStatement;

function keeper(change: { secret?: Buffer | null } = {}): EscrowKeeper {
  return new EscrowKeeper({ journal, log: { write: () => {} }, secret, of, root: () => root, ...change });
}
const digestOf = (sealed: Uint8Array | undefined): string => sha256(sealed ?? Buffer.alloc(0)).toString('hex');

beforeEach(() => {
  journal = new MemoryJournal();
  root = {
    v: 1,
    fleetId: '00'.repeat(16),
    version: 1,
    issuedAt: 1,
    expires: 2,
    root: { threshold: 1, keys: [] },
    publishers: [],
    floor: [],
    escrow: named(key),
    operators: [],
    results: [],
    enrolmentCaPem: '',
    revoked: [],
  };
});

describe('the auth values of a TPM', () => {
  test('are in the evidence until a result names what the controller keeps, and opened by the escrow key alone', async () => {
    const one = keeper();
    const { escrow } = await one.claims();
    if (escrow === undefined) throw new TypeError('nothing is kept yet');
    expect(openEscrow(key.privateKey, escrow, of)).toEqual(secret);
    expect(() => openEscrow(next.privateKey, escrow, of)).toThrow(/is sealed to key/);
    await one.kept(undefined);
    await one.kept(digestOf(Buffer.from('another')));
    expect((await one.claims()).escrow).toBe(escrow);
    await one.kept(digestOf(escrow));
    expect(await one.claims()).toEqual({});
    expect(await keeper().claims()).toEqual({});
  });

  test('are those of one device and one TPM', async () => {
    const { escrow = Buffer.alloc(0) } = await keeper().claims();
    expect(() => openEscrow(key.privateKey, escrow, { ...of, deviceId: 'b'.repeat(32) })).toThrow(/not for this/);
    expect(() => openEscrow(key.privateKey, escrow, { ...of, ekName: Buffer.alloc(34, 2) })).toThrow(/not for this/);
    expect(() => escrowKeyId(Buffer.alloc(200, 2))).toThrow(/not a sealed escrow/);
  });

  test('are sealed anew when the root names another key, or the values are others', async () => {
    const one = keeper();
    await one.kept(digestOf((await one.claims()).escrow));
    root = { ...root, version: 2, escrow: named(next) };
    const { escrow = Buffer.alloc(0) } = await one.claims();
    expect(openEscrow(next.privateKey, escrow, of)).toEqual(secret);
    await one.kept(digestOf(escrow));
    const { escrow: other = Buffer.alloc(0) } = await keeper({ secret: Buffer.from('other') }).claims();
    expect(openEscrow(next.privateKey, other, of).toString()).toBe('other');
  });

  test('are sealed to no key that is revoked, that is not on P-256, or whose id is another’s; and there may be none', async () => {
    root = { ...root, revoked: [{ id: keyId(key.publicKey), reason: 'lost', at: 1 }] };
    expect(await keeper().claims()).toEqual({});
    root = { ...root, revoked: [], escrow: named(generateKey('p384')) };
    expect(await keeper().claims()).toEqual({});
    root = { ...root, escrow: { id: keyId(key.publicKey), publicPem: publicPem(next.publicKey) } };
    await expect(keeper().claims()).rejects.toMatchObject({ code: 'WIRE_RANGE' });
    const { escrow: _, ...without } = root;
    root = without;
    expect(await keeper().claims()).toEqual({});
    root = { ...root, escrow: named(key) };
    expect(await keeper({ secret: null }).claims()).toEqual({});
  });
});
