// Root keys change by chain: each statement signed by those before and by those after, never back, and never by a revoked key.
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { DsseEnvelope } from '../../src/crypto/dsse.ts';
import { encodeRootFile, judgeChain, parseRootFile } from '../../src/release/root-chain.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { LINK_CHECKS } from '../../src/release/root-link.ts';
import { extendTrust, judgeRoot, loadTrust } from '../../src/release/root.ts';
import type { RootStatement } from '../../src/release/types.ts';
import { fleetFile, jsonBytes, named, NOW, publisher, rootKeys, rootStatement } from './publisher.ts';

const [one, two, three] = rootKeys as [KeyObject, KeyObject, KeyObject];
const [four, five, six] = [4, 5, 6].map(() => generateKey('p256').privateKey) as [KeyObject, KeyObject, KeyObject];

const rootOf = (threshold: number, ...keys: KeyObject[]): RootStatement['root'] => ({
  threshold,
  keys: keys.map((key) => named(key)),
});
const gone = (...keys: KeyObject[]): RootStatement['revoked'] =>
  keys.map((key) => ({ ...rootStatement.revoked[0], id: named(key).id, reason: 'stolen', at: NOW }));

function said(version: number, changes: Partial<RootStatement>, ...keys: KeyObject[]): DsseEnvelope {
  return signRoot({ ...rootStatement, version, ...changes }, keys);
}

const first = said(1, {}, one, two);
/** The root keys move from 1, 2, 3 to 4, 5, 6. */
const moved = said(2, { root: rootOf(2, four, five, six) }, one, two, four, five);
const after = said(3, { root: rootOf(2, four, five, six) }, five, six);

function versionOf(chain: readonly DsseEnvelope[], least = 0): number | string[] {
  const judged = judgeRoot(fleetFile, encodeRootFile(chain), least);
  return judged.ok ? judged.root.version : judged.findings.map((finding) => finding.rule);
}

const trusted = (...chain: DsseEnvelope[]): ReturnType<typeof loadTrust> =>
  loadTrust(jsonBytes(fleetFile), encodeRootFile(chain), NOW, 0);

describe('a chain of root statements', () => {
  test('leads from the keys of fleet.json to the newest statement, over several changes at once', () => {
    expect(versionOf([first, moved, after])).toBe(3);
    expect(versionOf([moved, after])).toBe(3);
    const back = said(9, { root: rootOf(1, one) }, four, six, one);
    expect(versionOf([first, moved, after, back])).toBe(9);
  });

  test('is needed: new keys alone are nobody, and so are the old ones where others were named', () => {
    expect(versionOf([after])).toEqual(['root-threshold']);
    expect(versionOf([first, moved, said(3, { root: rootOf(2, four, five, six) }, one, two)])).toEqual([
      'root-threshold',
    ]);
  });

  test.each([
    ['fewer of the old keys than their threshold', said(2, { root: rootOf(2, four, five) }, one, four, five)],
    ['fewer of the new keys than their threshold', said(2, { root: rootOf(2, four, five) }, one, two, four)],
    ['one old key twice', said(2, { root: rootOf(1, four) }, one, one, four)],
  ])('does not change hands with %s', (_, envelope) => {
    expect(versionOf([first, envelope])).toEqual(['root-threshold']);
  });

  test('never goes back in it, and never stands still', () => {
    for (const version of [1, 2]) {
      const again = said(version, { root: rootOf(2, four, five, six) }, five, six);
      expect(versionOf([first, moved, again])).toEqual(['root-version']);
    }
    expect(versionOf([first, moved, after], 4)).toEqual(['root-version']);
    expect(versionOf([first, moved, after], 3)).toBe(3);
  });

  test('keeps only what proves the newest, and proves it as well', () => {
    const chain = [first, said(2, {}, two, three), said(3, { root: rootOf(1, four) }, one, two, four)];
    const news = [...chain, ...[4, 5, 6].map((version) => said(version, { root: rootOf(1, four) }, four))];
    const { links } = trusted(...news);
    expect(links.map(({ root }) => root.version)).toEqual([3, 6]);
    expect(versionOf(links.map(({ envelope }) => envelope))).toBe(6);
  });
});

describe('a revoked root key', () => {
  const without3 = said(2, { revoked: gone(three) }, one, two);

  test('does not count for the statements after', () => {
    expect(versionOf([without3, said(3, { revoked: gone(three) }, one, two)])).toBe(3);
    expect(versionOf([without3, said(3, { revoked: gone(three) }, one, three)])).toEqual(['root-threshold']);
  });

  test('does not count for the statement that revokes it', () => {
    expect(versionOf([said(2, { revoked: gone(three) }, one, three)])).toEqual(['root-threshold']);
    expect(versionOf([said(2, { revoked: gone(three) }, one, two, three)])).toBe(2);
  });

  test('cannot make itself count again by leaving its revocation out, where that was seen', () => {
    const thief = said(3, { revoked: [] }, one, three);
    expect(versionOf([without3, thief])).toEqual(['root-threshold']);
    expect(extendTrust(trusted(without3), encodeRootFile([thief]), NOW).ok).toBe(false);
  });

  test('leaves a fleet nobody can lead only by a statement that is refused', () => {
    expect(versionOf([said(2, { revoked: gone(two, three) }, one, two, three)])).toEqual(['root-threshold']);
  });

  test('stays in the chain as a step of its own, so that those after it are judged by it', () => {
    const { links } = trusted(without3, said(3, { revoked: gone(three) }, one, two));
    expect(links.map(({ root }) => root.version)).toEqual([2, 3]);
    const moreGone = said(4, { revoked: gone(three), root: rootOf(1, one, two) }, one, two);
    expect(trusted(without3, moreGone).links.map(({ root }) => root.version)).toEqual([2, 4]);
  });
});

describe('what is believed already', () => {
  test('goes on from there, with what is newer of a whole chain or with the rest of it', () => {
    for (const news of [[first, moved, after], [moved, after], [after]]) {
      const next = extendTrust(trusted(first, moved), encodeRootFile(news), NOW);
      expect(next.ok && next.trust.version).toBe(3);
      expect(next.ok && next.trust.links.map(({ root }) => root.version)).toEqual([2, 3]);
    }
  });

  test('stays as it is for anything not newer, of whomever', () => {
    const trust = trusted(first, moved, after);
    for (const old of [[first], [first, moved], [first, moved, after], [said(3, {}, one, two)]]) {
      const next = extendTrust(trust, encodeRootFile(old), NOW);
      expect(next).toEqual({ ok: true, trust });
    }
  });

  test('hears nothing of keys that were replaced: who found all old ones says nothing to it', () => {
    const thief = said(9, { root: rootOf(1, one) }, one, two, three);
    expect(versionOf([first, thief])).toBe(9);
    const next = extendTrust(trusted(first, moved), encodeRootFile([first, thief]), NOW);
    expect(next.ok ? [] : next.findings.map((finding) => finding.rule)).toEqual(['root-threshold']);
  });

  test('stays for bytes that are no statements', () => {
    for (const bytes of [Buffer.from('{'), jsonBytes({ v: 1, chain: [] }), jsonBytes({ chain: 1 }), Buffer.alloc(0)]) {
      const next = extendTrust(trusted(first), bytes, NOW);
      expect(next.ok ? [] : next.findings.map((finding) => finding.rule)).toEqual(['root-malformed']);
    }
  });
});

test('a root file is one statement as ever, or several; at most 64, and never longer than a message', () => {
  expect(JSON.parse(encodeRootFile([first]).toString())).toEqual(first);
  expect(parseRootFile(encodeRootFile([first, moved]))).toEqual([first, moved]);
  expect(() => encodeRootFile([])).toThrow(RangeError);
  expect(() => parseRootFile(encodeRootFile(Array.from({ length: 65 }, () => first)))).toThrow(/chain/);
  const long = { ...first, payload: 'A'.repeat(256 * 1024) };
  expect(() => parseRootFile(jsonBytes(long))).toThrow(expect.objectContaining({ code: 'WIRE_LIMIT' }));
});

/** A statement that only this check refuses. */
const ATTACKS: Readonly<Record<string, DsseEnvelope>> = {
  'root-threshold': said(4, { root: rootOf(1, six) }, one, two),
  'root-critical': said(4, { crit: ['quorum'] }, one, two),
  'root-fleet': said(4, { fleetId: 'cd'.repeat(16) }, one, two),
  'root-version': said(1, {}, one, two),
  'root-malformed': said(4, { operators: [{ ...named(publisher), id: named(one).id }] }, one, two),
};

test('every check of a statement has its attack', () => {
  expect(LINK_CHECKS.map((check) => check.rule).filter((rule) => !Object.hasOwn(ATTACKS, rule))).toEqual([]);
});

test.each(Object.entries(ATTACKS))('without the check %s its attack succeeds', (rule, attack) => {
  const chain = [said(3, {}, one, two), attack];
  const rulesOf = (checks: typeof LINK_CHECKS): string[] => {
    const judged = judgeChain(fleetFile, chain, {}, checks);
    return 'faults' in judged ? judged.faults.map((fault) => fault.rule) : [];
  };
  expect(rulesOf(LINK_CHECKS)).toEqual([rule]);
  expect(rulesOf(LINK_CHECKS.filter((check) => check.rule !== rule))).toEqual([]);
});
