// What a model statement may say (OpenSSF Model Signing v1.0), where the reference tool differs, and everything that is refused.
import { describe, expect, test } from 'vitest';
import { toHex, toUtf8 } from '../../src/bytes/text.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { hashOfType, pathFault } from '../../src/release/oms-resources.ts';
import { readStatement, rootDigest } from '../../src/release/oms-statement.ts';
import type { OmsStatement } from '../../src/release/oms-statement.ts';
import type { OmsResource } from '../../src/release/oms-types.ts';
import { handStatement } from './publisher.ts';
import type { StatementPlan } from './publisher.ts';

const AB = 'ab'.repeat(32);
const resource = (name: string, algorithm = 'sha256', digest = AB): OmsResource => ({ name, digest, algorithm });
const shards = (size: unknown): Readonly<Record<string, unknown>> => ({ method: 'shards', shard_size: size });

function rules(plan: StatementPlan): string[] {
  const read = readStatement(handStatement(plan));
  return 'faults' in read ? [...new Set(read.faults.map((fault) => fault.rule))] : [];
}

function good(plan: StatementPlan): OmsStatement {
  const read = readStatement(handStatement(plan));
  if ('faults' in read) throw new Error(read.faults.map((fault) => `${fault.expected}: ${fault.found}`).join('; '));
  return read.statement;
}

describe('takes', () => {
  test('files whole, in the order of the statement', () => {
    const resources = [resource('b'), resource('a')];
    const statement = good({ resources });
    expect(statement.files.map((file) => file.path)).toEqual(['b', 'a']);
    expect(statement.subject.sha256).toBe(toHex(rootDigest(resources)));
    expect(statement.digest.equals(sha256(statement.payload))).toBe(true);
  });

  test('the reference tool’s name `.` for a model of one file (D1)', () => {
    expect(good({ resources: [resource('.')] }).files[0]?.path).toBe('.');
    const { files } = good({
      resources: [resource('.:0:4'), resource('.:4:6')],
      serialization: shards(4),
    });
    expect(files).toMatchObject([{ path: '.', size: 6 }]);
  });

  test('shards in the numeric order of the reference tool as well as in that of the specification (D2)', () => {
    const numeric = [resource('f:0:5'), resource('f:5:10'), resource('f:10:12')];
    const byName = [resource('f:0:5'), resource('f:10:12'), resource('f:5:10')];
    for (const resources of [numeric, byName]) {
      const [file] = good({ resources, serialization: shards(5) }).files;
      expect(file?.parts.map(({ start, end }) => [start, end])).toEqual([
        [0, 5],
        [5, 10],
        [10, 12],
      ]);
      expect(file?.size).toBe(12);
    }
  });

  test('the algorithm names of the reference tool’s shards, when they give the same size (D3)', () => {
    expect(rules({ resources: [resource('f:0:8', 'sha256-sharded-8')], serialization: shards(8) })).toEqual([]);
    const others = ['sha256-sharded-9', 'sha256-sharded', 'sha256-sharded-8-8', 'sha256-cut-8', '-sharded-8'];
    const taken = others.filter(
      (name) => rules({ resources: [resource('f:0:8', name)], serialization: shards(8) }).length === 0,
    );
    expect(taken).toEqual([]);
  });

  test('a shard size written as 8.0 (D4), and none that is no whole number', () => {
    const text = handStatement({ resources: [resource('f:0:8')], serialization: shards(8) }).toString();
    expect('statement' in readStatement(toUtf8(text.replace('"shard_size":8', '"shard_size":8.0')))).toBe(true);
    const sizes = ['8.5', '0', '-8', '"8"', '1e400', '9007199254740993'];
    const taken = sizes.filter(
      (size) => 'statement' in readStatement(toUtf8(text.replace('"shard_size":8', `"shard_size":${size}`))),
    );
    expect(taken).toEqual([]);
  });

  test('BLAKE2b under both of its names (D5)', () => {
    const long = 'cd'.repeat(64);
    for (const [stated, used] of [
      ['blake2b', 'blake2b'],
      ['blake2', 'blake2b'],
      ['blake2b', 'blake2'],
    ]) {
      const resources = [resource('f', used, long)];
      expect(rules({ resources, serialization: { hash_type: stated } })).toEqual([]);
    }
    expect(hashOfType('blake2')).toBe('blake2b512');
    expect(hashOfType('blake3')).toBeUndefined();
  });

  test('a later 1.x, and fields beyond the three of a resource', () => {
    expect(rules({ more: { predicateType: 'https://model_signing/signature/v1.1' } })).toEqual([]);
    const resources = [{ ...resource('f'), size: 3 }];
    expect(rules({ resources })).toEqual([]);
  });

  test('colons in a shard’s path: the last two numbers are the bounds', () => {
    const [file] = good({ resources: [resource('a:1:2:0:3')], serialization: shards(4) }).files;
    expect(file).toMatchObject({ path: 'a:1:2', size: 3 });
  });
});

describe('refuses as malformed', () => {
  const cases: Readonly<Record<string, StatementPlan>> = {
    'another kind of statement': { more: { _type: 'https://in-toto.io/Statement/v0.1' } },
    'another major version': { more: { predicateType: 'https://model_signing/signature/v2.0' } },
    'a predicate type with something before it': { more: { predicateType: 'x https://model_signing/signature/v1.0' } },
    'no file': { resources: [] },
    'no subject': { subject: [] },
    'two subjects': { subject: [1, 2].map(() => ({ name: 'm', digest: { sha256: AB } })) },
    'BLAKE3, which nobody here can compute': { serialization: { hash_type: 'blake3' } },
    'a hash that no standard names': { serialization: { hash_type: 'md5' } },
    'a method that is not there': { serialization: { method: 'tree' } },
    'shards without a size': { resources: [resource('f:0:3')], serialization: { method: 'shards' } },
    'a shard size without shards': { serialization: { shard_size: 8 } },
    'an unknown field of serialization': { serialization: { follow: true } },
    'symbolic links neither allowed nor not': { serialization: { allow_symlinks: 'yes' } },
    'a digest by another algorithm': { resources: [resource('f', 'sha512')] },
    'a digest of the wrong length': { resources: [resource('f', 'sha256', 'ab'.repeat(31))] },
    'a digest in capitals': { resources: [resource('f', 'sha256', 'AB'.repeat(32))] },
    'a file twice': { resources: [resource('f'), resource('f')] },
    '`.` among others': { resources: [resource('.'), resource('f')] },
    'a shard without bounds': { resources: [resource('f')], serialization: shards(4) },
    'a shard that ends before it begins': { resources: [resource('f:4:4')], serialization: shards(4) },
    'a shard with a bound beyond all files': {
      resources: [resource('f:0:9999999999999999')],
      serialization: shards(4),
    },
    'a shard longer than the size': { resources: [resource('f:0:5')], serialization: shards(4) },
    'a gap between shards': { resources: [resource('f:0:4'), resource('f:5:6')], serialization: shards(4) },
    'overlapping shards': { resources: [resource('f:0:4'), resource('f:3:7')], serialization: shards(4) },
    'a short shard in the middle': { resources: [resource('f:0:3'), resource('f:3:6')], serialization: shards(4) },
    'a first shard that does not begin the file': { resources: [resource('f:4:8')], serialization: shards(4) },
  };
  test.each(Object.entries(cases))('%s', (_, plan) => {
    expect(rules(plan)).toEqual(['release-malformed']);
  });

  test('duplicate keys, depth, bad UTF-8, half surrogates and what is no JSON', () => {
    const text = handStatement().toString();
    const hostile = [
      text.replace('{"_type"', '{"_type":"x","_type"'),
      text.replace('"subject":', `"more":${'['.repeat(50)}${']'.repeat(50)},"subject":`),
      text.replace('MODEL_CARD', String.raw`\ud800`),
      text.slice(0, -1),
      `${text}{}`,
      '',
    ].map((one) => toUtf8(one));
    for (const bytes of [...hostile, Buffer.from([0xff]), Buffer.from('\uFEFF{}')]) {
      const read = readStatement(bytes);
      expect('faults' in read && read.faults.map((fault) => fault.rule)).toEqual(['release-malformed']);
    }
  });
});

test('the root digest must be that of the resources, in their order', () => {
  const subject = [{ name: 'model', digest: { sha256: AB } }];
  expect(rules({ subject })).toEqual(['release-statement']);
  const unnamed = { digest: { sha256: toHex(rootDigest([resource('f')])) } };
  expect(good({ subject: [unnamed], resources: [resource('f')] }).subject.name).toBe('');
});

test('a statement that is wrong in every resource has its first faults named, not half a million', () => {
  const resources = Array.from({ length: 5000 }, (_, at) => resource(`../${at}`));
  const read = readStatement(handStatement({ resources }));
  expect('faults' in read && read.faults).toHaveLength(64);
});

test.each([
  ['absolute or empty', ''],
  ['absolute or empty', '/a'],
  ['leads out of the folder', 'a/../b'],
  ['leads out of the folder', '..'],
  ['not in its shortest form', 'a/'],
  ['not in its shortest form', 'a//b'],
  ['not in its shortest form', './a'],
  ['holds a control character', 'a\u0000'],
  ['holds a control character', 'a\u0085'],
  ['has a part longer than 255 bytes', 'x'.repeat(256)],
  ['longer than 4096 bytes', 'ä/'.repeat(1400)],
])('%#: a path is refused that is or %s', (why, path) => {
  expect(pathFault(path)).toBe(why);
});

test.each(['a', 'a/b.c', '...', '.hidden', 'a\\b', 'C:\\x', 'ü/ß', 'a:1:2', ' '])('the path %j is a path', (path) => {
  expect(pathFault(path)).toBeNull();
});
