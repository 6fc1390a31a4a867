// The fleet root: only enough different root keys of this fleet say who may sign what, never less than was said before.
import { describe, expect, test } from 'vitest';
import { toUtf8 } from '../../src/bytes/text.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { WireError } from '../../src/errors.ts';
import { countersignRoot, importKeys, ROOT_TYPE, signRoot } from '../../src/release/root-keys.ts';
import { judgeRoot, loadTrust, readFleetFile } from '../../src/release/root.ts';
import type { FleetFile, RootStatement } from '../../src/release/types.ts';
import {
  DAY,
  fleetFile,
  jsonBytes,
  named,
  NOW,
  operator,
  other,
  publisher,
  revoked,
  rootKeys,
  rootStatement,
  stranger,
  trustOf,
} from './publisher.ts';

const [one, two, three] = rootKeys as [(typeof rootKeys)[0], (typeof rootKeys)[0], (typeof rootKeys)[0]];

function rules(envelope: DsseEnvelope | Uint8Array, lastVersion = 0, fleet: FleetFile = fleetFile): string[] {
  const bytes = envelope instanceof Uint8Array ? envelope : jsonBytes(envelope);
  const judged = judgeRoot(fleet, bytes, lastVersion);
  return judged.ok ? [] : judged.findings.map((finding) => finding.rule);
}

/** Signed by two root keys whatever it says. */
const spoken = (changes: Record<string, unknown>): DsseEnvelope =>
  signDsse(ROOT_TYPE, jsonBytes({ ...rootStatement, ...changes }), [one, two]);

describe('is taken', () => {
  test('with the threshold of different root keys, whichever they are', () => {
    for (const keys of [[one, two], [two, three], rootKeys]) expect(rules(signRoot(rootStatement, keys))).toEqual([]);
  });

  test('signed in different places, one after another', () => {
    const first = signRoot(rootStatement, [one]);
    expect(rules(first)).toEqual(['root-threshold']);
    const both = countersignRoot(first, two);
    expect(rules(both)).toEqual([]);
    expect(countersignRoot(both, two).signatures).toHaveLength(2);
  });

  test('at the version that was seen before, or a later one', () => {
    for (const last of [0, 1, 3]) expect(rules(signRoot(rootStatement, rootKeys), last)).toEqual([]);
  });

  test('with signatures of strangers beside enough good ones', () => {
    expect(rules(signRoot(rootStatement, [stranger, one, three]))).toEqual([]);
  });

  test('with critical fields that this version knows, and with others that it does not', () => {
    expect(rules(spoken({ crit: ['revoked', 'expires'], note: 'more' }))).toEqual([]);
  });
});

describe('is refused', () => {
  test('with fewer root keys than the threshold', () => {
    expect(rules(signRoot(rootStatement, [one]))).toEqual(['root-threshold']);
    expect(rules(signRoot(rootStatement, [one, stranger, publisher]))).toEqual(['root-threshold']);
  });

  test('when one root key signed twice', () => {
    expect(rules(signRoot(rootStatement, [one, one]))).toEqual(['root-threshold']);
    const renamed = signRoot(rootStatement, [one, one]);
    const twice = { ...renamed, signatures: renamed.signatures.map((entry, at) => ({ ...entry, keyid: `k${at}` })) };
    expect(rules(twice)).toEqual(['root-threshold']);
  });

  test('when fleet.json names one root key twice, and that key signed', () => {
    const fleet = { ...fleetFile, root: { threshold: 2, keys: [named(one), named(one)] } };
    expect(rules(signRoot(rootStatement, [one]), 0, fleet)).toEqual(['root-threshold']);
  });

  test('when the statement itself names other root keys: those of fleet.json count', () => {
    const mine = { ...rootStatement, root: { threshold: 1, keys: [named(stranger)] } };
    expect(rules(signRoot(mine, [stranger]))).toEqual(['root-threshold']);
  });

  test('when the signatures are over another type', () => {
    const envelope = signDsse('application/vnd.touchstone.command+json', jsonBytes(rootStatement), [one, two]);
    expect(rules(envelope)).toEqual(['root-threshold']);
    expect(rules({ ...envelope, payloadType: ROOT_TYPE })).toEqual(['root-threshold']);
  });

  test('when a byte of it was changed', () => {
    const envelope = signRoot(rootStatement, [one, two]);
    const payload = Buffer.from(envelope.payload, 'base64');
    payload[payload.length - 3] = (payload[payload.length - 3] ?? 0) ^ 1;
    expect(rules({ ...envelope, payload: payload.toString('base64') })).toEqual(['root-threshold']);
  });

  test('when it is of another fleet', () => {
    expect(rules(spoken({ fleetId: 'cd'.repeat(16) }))).toEqual(['root-fleet']);
  });

  test('when it is older than one that was seen', () => {
    expect(rules(signRoot(rootStatement, rootKeys), 4)).toEqual(['root-version']);
  });

  test('when a critical field is not known', () => {
    expect(rules(spoken({ crit: ['quorum', 'revoked', 'toString'] }))).toEqual(['root-critical', 'root-critical']);
  });

  test('when an id is not that of its key: one id must have one key', () => {
    const operators = [{ id: named(operator).id, publicPem: named(stranger).publicPem }];
    expect(rules(spoken({ operators }))).toEqual(['root-malformed']);
    const fleet = { ...fleetFile, root: { threshold: 1, keys: [{ ...named(one), id: named(two).id }] } };
    expect(rules(signRoot(rootStatement, [one]), 0, fleet)).toEqual(['root-malformed']);
  });

  test('when a key is none, or of a kind that is not ours', () => {
    const publishers = [{ id: 'ab'.repeat(32), publicPem: 'no key', modelIds: ['m'] }];
    expect(rules(spoken({ publishers }))).toEqual(['root-malformed']);
  });

  test('with everything that is wrong at once', () => {
    const envelope = spoken({ fleetId: 'cd'.repeat(16), version: 1, crit: ['x'] });
    expect(rules(envelope, 2).toSorted()).toEqual(['root-critical', 'root-fleet', 'root-version']);
  });

  test.each([
    ['no JSON', toUtf8('{')],
    ['not even text', Buffer.from([0xff, 0x00])],
    ['no envelope', jsonBytes([])],
    ['an envelope without signatures', jsonBytes({ payload: '', payloadType: ROOT_TYPE, signatures: [] })],
  ])('when it is %s', (_, bytes) => {
    expect(rules(bytes)).toEqual(['root-malformed']);
  });

  test.each([
    ['its version is 0', { version: 0 }],
    ['its version is no whole number', { version: 1.5 }],
    ['its end is before all time', { expires: -1 }],
    ['its fleet id is in capitals', { fleetId: 'AB'.repeat(16) }],
    ['its threshold is above the number of its keys', { root: { threshold: 2, keys: [named(one)] } }],
    ['its threshold is 0', { root: { threshold: 0, keys: [named(one)] } }],
    ['a publisher has no model', { publishers: [{ ...named(publisher), modelIds: [] }] }],
    ['a revoked id is none', { revoked: [{ id: 'short', reason: 'x', at: 0 }] }],
    ['it is of version 2', { v: 2 }],
  ])('when %s, whoever signed it', (_, changes) => {
    expect(rules(spoken(changes))).toEqual(['root-malformed']);
  });
});

describe('trust', () => {
  test('gives each publisher its own models, and nobody a revoked key', () => {
    const trust = trustOf();
    const ids = (modelId: string): string[] => [...trust.publishersFor(modelId).keys()];
    expect(ids('lane-keeper')).toEqual([named(publisher).id]);
    expect(ids('door-watcher')).toEqual([named(other).id]);
    expect(ids('no-such-model')).toEqual([]);
    expect(ids('lane-keeper')).not.toContain(named(revoked).id);
  });

  test('leaves revoked keys out of operators, results and floor as well', () => {
    const [a, b] = [generateKey('p256').privateKey, generateKey('p384').privateKey];
    const all = [named(a), named(b)];
    const gone = [{ id: named(a).id, reason: 'lost', at: NOW }];
    const trust = trustOf({ operators: all, results: all, floor: all, revoked: gone });
    for (const keys of [trust.operatorKeys, trust.resultKeys, trust.floorKeys]) {
      expect([...keys.keys()]).toEqual([named(b).id]);
    }
    expect(trust.signedBy.toSorted()).toEqual([named(one).id, named(two).id].toSorted());
  });

  test('knows whether the statement has expired, and is there all the same', () => {
    expect(trustOf().expired).toBe(false);
    expect(trustOf({ expires: NOW - DAY })).toMatchObject({ expired: true, version: 3 });
  });

  test('does not load at all from a root that is not to be trusted, and says every rule', () => {
    const envelope = jsonBytes(spoken({ fleetId: 'cd'.repeat(16), version: 1 }));
    const load = (): unknown => loadTrust(jsonBytes(fleetFile), envelope, NOW, 2);
    expect(load).toThrow(/root-fleet \(expected fleet abab.*root-version/);
    expect(load).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});

test('a statement outside of its shape is not signed', () => {
  const bad = { ...rootStatement, version: 0 } satisfies RootStatement;
  expect(() => signRoot(bad, rootKeys)).toThrow(WireError);
});

test('importKeys names the id that is not of its key', () => {
  expect(() => importKeys([{ ...named(one), id: named(two).id }])).toThrow(new RegExp(named(two).id));
});

test('fleet.json is read strictly, and the error names the file', () => {
  expect(readFleetFile(jsonBytes(fleetFile))).toEqual(fleetFile);
  expect(() => readFleetFile(toUtf8('{"v":1,"v":1}'), 'f.json')).toThrow(/f\.json.*twice/);
  expect(() => readFleetFile(jsonBytes({ ...fleetFile, minimumTime: -1 }))).toThrow(/fleet\.json.*minimumTime/);
  expect(() => readFleetFile(Buffer.from([0xff]))).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
