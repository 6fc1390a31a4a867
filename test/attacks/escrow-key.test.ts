// Who owns the controller hands a device an escrow key of his own: it seals the auth values of its TPM only to the key that the root names.
import type { KeyObject } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { EscrowKeeper } from '../../src/agent/escrow-keeper.ts';
import { RootKeeper } from '../../src/agent/root-keeper.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { escrowKeyId, openEscrow } from '../../src/evidence/escrow.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { ROOT_TYPE, signRoot } from '../../src/release/root-keys.ts';
import type { RootStatement } from '../../src/release/types.ts';
import type { ReleaseRuleId } from '../../src/rules/release-rules.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { fleetFile, jsonBytes, named, NOW, operator, rootKeys, rootStatement } from '../release/publisher.ts';

const [one, two] = rootKeys as [KeyObject, KeyObject];
const escrow = generateKey('p256').privateKey;
const former = generateKey('p256').privateKey;
/** All that the owner of a controller has: its result key, its operator key, and an escrow key that he made. */
const result = generateKey('p256').privateKey;
const his = generateKey('p256').privateKey;
const of = { deviceId: 'abcdefghijklmnopqrstuvwxyz234567', ekName: Buffer.alloc(34, 1) };
const secret = Buffer.from('{"owner":"…","endorsement":"…","lockout":"…"}');

const base: RootStatement = { ...rootStatement, results: [named(result)], escrow: named(escrow) };
const said = (version: number, changes: Partial<RootStatement>, ...keys: KeyObject[]): DsseEnvelope =>
  signRoot({ ...base, version, ...changes }, keys);
const first = said(1, { escrow: named(former) }, one, two);
const shipped = said(2, {}, one, two);

let lines: string[];
let journal: MemoryJournal;

interface Device {
  readonly root: RootKeeper;
  readonly keeper: EscrowKeeper;
}

async function device(): Promise<Device> {
  const log = { write: (_level: string, _event: string, line: string) => lines.push(line) };
  const root = await RootKeeper.open({
    journal,
    log,
    fleetFile: jsonBytes(fleetFile),
    rootFile: encodeRootFile([shipped]),
    now: () => NOW,
  });
  return { root, keeper: new EscrowKeeper({ journal, log, secret, of, root: () => root.trust.root }) };
}

beforeEach(() => {
  lines = [];
  journal = new MemoryJournal();
});

/** The statement in force with his key in it, under the signatures of the statement that it was. */
function swapped(): DsseEnvelope {
  const bytes = Buffer.from(shipped.payload, 'base64').toString();
  return { ...shipped, payload: Buffer.from(bytes.replace(named(escrow).id, named(his).id)).toString('base64') };
}

const mine = { escrow: named(his) };
const ATTACKS: readonly [what: string, rule: ReleaseRuleId | null, file: Buffer][] = [
  ['signed with the keys of the controller', 'root-threshold', encodeRootFile([said(3, mine, result, operator)])],
  ['signed with that escrow key itself', 'root-threshold', encodeRootFile([said(3, mine, his)])],
  ['signed by one holder of the root, where two must', 'root-threshold', encodeRootFile([said(3, mine, one)])],
  ['signed by one holder twice', 'root-threshold', encodeRootFile([said(3, mine, one, one)])],
  [
    'that makes his own keys the root',
    'root-threshold',
    encodeRootFile([said(3, { ...mine, root: { threshold: 1, keys: [named(his)] } }, his)]),
  ],
  ['behind the one in force', 'root-threshold', encodeRootFile([shipped, said(3, mine, result, operator)])],
  [
    'of the holders, for another fleet',
    'root-fleet',
    encodeRootFile([said(3, { ...mine, fleetId: 'cd'.repeat(16) }, one, two)]),
  ],
  [
    'with the right id on his key',
    'root-malformed',
    encodeRootFile([said(3, { escrow: { ...named(his), id: named(escrow).id } }, one, two)]),
  ],
  // Not newer, so nothing of them is even looked at.
  ['of before, with a key that was given up', null, encodeRootFile([first])],
  ['with one number of the one in force changed', null, encodeRootFile([swapped()])],
  [
    'of another type',
    'root-threshold',
    encodeRootFile([signDsse(`${ROOT_TYPE}2`, jsonBytes({ ...base, version: 3, ...mine }), [one, two])]),
  ],
];

test.each(ATTACKS)(
  'a root statement %s changes nothing: the values go to the key of the root',
  async (_, rule, file) => {
    const { root, keeper } = await device();
    expect(await root.take(file)).toBe(false);
    expect(lines.map((line) => /root-[a-z]+/.exec(line)?.[0])).toEqual(rule === null ? [] : [rule]);
    // Also after a restart, with whatever of it was kept.
    for (const one_ of [keeper, (await device()).keeper]) {
      const { escrow: sealed = Buffer.alloc(0) } = await one_.claims();
      expect(escrowKeyId(sealed)).toBe(named(escrow).id);
      expect(openEscrow(escrow, sealed, of)).toEqual(secret);
      for (const key of [his, former, result, operator])
        expect(() => openEscrow(key, sealed, of)).toThrow('is sealed to key');
    }
  },
);

test('a controller that says that it keeps what it was never given learns nothing, and ends nothing', async () => {
  const { keeper } = await device();
  const { escrow: sealed = Buffer.alloc(0) } = await keeper.claims();
  await keeper.kept(sha256(Buffer.from('mine')).toString('hex'));
  expect((await keeper.claims()).escrow).toBe(sealed);
});

test('the holders of the root change the key, and only then the values go to another', async () => {
  const { root, keeper } = await device();
  expect(await root.take(encodeRootFile([said(3, mine, one, two)]))).toBe(true);
  const { escrow: sealed = Buffer.alloc(0) } = await keeper.claims();
  expect(openEscrow(his, sealed, of)).toEqual(secret);
});
