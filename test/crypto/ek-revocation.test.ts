// What lists of openssl say of a way from an endorsement key to its root.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readCrl } from '../../src/crypto/crl.ts';
import { revocationOf } from '../../src/crypto/ek-revocation.ts';
import type { Revocation } from '../../src/crypto/ek-revocation.ts';
import { Issuer } from '../support/make-ek-certificate.ts';
import { opensslCrl } from '../support/openssl-crl.ts';
import type { CrlPlan } from '../support/openssl-crl.ts';

const NOW = Date.UTC(2026, 0, 15);
const DAY = 86_400_000;
const root = new Issuer('vendor root');
const middle = new Issuer('vendor intermediate', root, { serial: Buffer.from([7]) });
const ek = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const leaf = new X509Certificate(middle.issue({ publicKey: ek, serial: Buffer.from([5]) }));

function list(issuer: Issuer, plan: Partial<CrlPlan> = {}, as: Issuer = issuer): Buffer {
  return opensslCrl(
    { key: as.key, pem: issuer === as ? issuer.certificate.toString() : as.certificate.toString() },
    { from: NOW - DAY, until: NOW + DAY, ...plan },
  );
}

function judge(lists: readonly Buffer[], chain = [leaf, middle.certificate, root.certificate]): Revocation {
  return revocationOf(chain, lists.map(readCrl), NOW, ({ subject }) => subject);
}

describe('a way from an endorsement key to a root', () => {
  test('is whole when lists of both issuers answer and have nothing of it', () => {
    expect(judge([list(middle, { revoked: ['06'] }), list(root)])).toEqual({
      revoked: [],
      unusable: [],
      unanswered: [],
    });
  });

  test('is unanswered where there is no list', () => {
    expect(judge([])).toEqual({ revoked: [], unusable: [], unanswered: ['CN=TPM', 'CN=vendor intermediate'] });
  });

  test('is revoked when its leaf is on the list of its issuer', () => {
    expect(judge([list(middle, { revoked: ['05'] }), list(root)]).revoked).toEqual([
      'CN=TPM is revoked by CN=vendor intermediate',
    ]);
  });

  test('is revoked when the authority above the leaf is on the list of the root', () => {
    expect(judge([list(middle), list(root, { revoked: ['07'] })]).revoked).toEqual([
      'CN=vendor intermediate is revoked by CN=vendor root',
    ]);
  });

  test('is not touched by the serial numbers of another authority', () => {
    expect(judge([list(root, { revoked: ['05'] }), list(middle, { revoked: ['07'] })]).revoked).toEqual([]);
  });

  test('is not touched, nor answered, by a list that another made in its issuer’s name', () => {
    const thief = new Issuer('vendor intermediate', new Issuer('nobody'));
    const judged = judge([list(thief, { revoked: ['05'] }), list(root)]);
    expect(judged).toMatchObject({ revoked: [], unanswered: ['CN=TPM'] });
  });

  test('is not touched, nor answered, by a list of an authority that may not sign lists', () => {
    const without = new Issuer('no lists', root, { usage: 0x04 });
    const below = new X509Certificate(without.issue({ publicKey: ek, serial: Buffer.from([5]) }));
    // openssl signs it all the same.
    const lists = [list(without, { revoked: ['05'] }), list(root)];
    expect(judge(lists, [below, without.certificate, root.certificate])).toMatchObject({
      revoked: [],
      unanswered: ['CN=TPM'],
    });
  });
});

describe('a list out of its time', () => {
  test('still says who was taken back, and answers for nobody else', () => {
    const old = { from: NOW - 2 * DAY, until: NOW - DAY };
    expect(judge([list(middle, { ...old, revoked: ['05'] }), list(root)]).revoked).toHaveLength(1);
    expect(judge([list(middle, old), list(root)])).toEqual({
      revoked: [],
      unusable: ['the list of CN=vendor intermediate: it ran out at 2026-01-14T00:00:00.000Z'],
      unanswered: ['CN=TPM'],
    });
  });

  test('of tomorrow answers for nobody today', () => {
    expect(judge([list(middle, { from: NOW + DAY, until: NOW + 2 * DAY }), list(root)])).toMatchObject({
      unusable: ['the list of CN=vendor intermediate: not before 2026-01-16T00:00:00.000Z'],
      unanswered: ['CN=TPM'],
    });
  });

  test('beside its successor is no fault', () => {
    const lists = [list(middle, { from: NOW - 2 * DAY, until: NOW - DAY }), list(middle), list(root)];
    expect(judge(lists)).toEqual({ revoked: [], unusable: [], unanswered: [] });
  });
});

describe('a list of a part', () => {
  const only = (line: string): Partial<CrlPlan> => ({
    extensions: ['issuingDistributionPoint = critical, @point', '[point]', line],
  });

  test('of authorities answers for no endorsement key', () => {
    expect(judge([list(middle, only('onlyCA = TRUE')), list(root)]).unanswered).toEqual(['CN=TPM']);
    expect(judge([list(middle), list(root, only('onlyCA = TRUE'))]).unanswered).toEqual([]);
  });

  test('of others’ certificates says nothing, not even of a serial number on it', () => {
    const indirect = list(middle, { ...only('indirectCRL = TRUE'), revoked: ['05'] });
    expect(judge([indirect, list(root)])).toEqual({
      revoked: [],
      unusable: ['the list of CN=vendor intermediate: an indirect list'],
      unanswered: ['CN=TPM'],
    });
  });
});

test('a root alone, and no way at all, need no list', () => {
  expect(judge([], [root.certificate])).toEqual({ revoked: [], unusable: [], unanswered: [] });
  expect(judge([], [])).toEqual({ revoked: [], unusable: [], unanswered: [] });
});
