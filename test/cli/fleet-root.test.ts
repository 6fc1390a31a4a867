// `touchstone fleet show|rotate|revoke|sign|publish` and `release countersign`: who may sign what changes hands, in different places.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadTrust } from '../../src/release/root.ts';
import type { Trust } from '../../src/release/root.ts';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';

let scratch: Scratch;
let made = 0;

beforeAll(async () => {
  scratch = await Scratch.make();
  await quickly(['fleet', 'init', '--out', at('fleet'), '--model-id', 'detector']);
  for (const name of ['a', 'b', 'c', 'second', 'online']) {
    await quickly(['keygen', '--out', at('keys'), '--name', name]);
  }
  await scratch.write({ 'model/weights.bin': 'weights' });
});

afterAll(async () => scratch[Symbol.asyncDispose]());

const at = (...parts: string[]): string => scratch.path(...parts);
const rootKey = (n: number): string => at(`fleet/root/root-${n}.key.pem`);
const pub = (name: string): string => at(`keys/${name}.pub.pem`);
const key = (name: string): string => at(`keys/${name}.key.pem`);
const place = (): string[] => ['--fleet', at('fleet/device')];

interface Answer {
  readonly code: number | null;
  readonly stderr: string;
  readonly document: {
    readonly complete?: boolean;
    readonly findings?: readonly { readonly rule: string }[];
    readonly byBefore?: { readonly missing: number };
    readonly byItself?: { readonly missing: number };
    readonly publishers?: readonly { readonly id: string; readonly revoked: boolean }[];
    readonly warning?: string | null;
    readonly version?: number;
    readonly release?: string;
    readonly needed?: number;
  };
}

async function ask(...args: string[]): Promise<Answer> {
  return (await quicklyJson(args)) as unknown as Answer;
}

async function trustOf(folder: string): Promise<Trust> {
  const read = async (name: string): Promise<Buffer> => readFile(at('fleet', folder, name));
  return loadTrust(await read('fleet.json'), await read('root.json'), Date.now(), 0);
}

/** Makes, signs with root keys 1 and 2 and publishes a statement. */
async function inForce(...change: string[]): Promise<void> {
  const file = at(`root-${++made}.json`);
  const first = await ask(...change, ...place(), '--key', rootKey(1), '--out', file);
  expect([first.code, first.document.complete]).toEqual([0, false]);
  expect((await ask('fleet', 'sign', file, '--key', rootKey(2), ...place())).document.complete).toBe(true);
  expect(
    (await quickly(['fleet', 'publish', file, '--to', at('fleet/controller'), '--to', at('fleet/device')])).code,
  ).toBe(0);
}

describe('fleet show', () => {
  test('says who may what, and until when', async () => {
    const { code, stdout, stderr } = await quickly(['fleet', 'show', ...place()]);
    expect([code, stderr]).toEqual([0, '']);
    for (const words of [
      'root statement 1 of fleet',
      '2 of 3 root keys',
      'publisher of detector',
      'operator',
      'result',
      'floor',
    ]) {
      expect(stdout).toContain(words);
    }
  });

  test('warns while there is still time', async () => {
    const file = at('short.json');
    await ask(
      'fleet',
      'rotate',
      ...place(),
      '--key',
      rootKey(1),
      '--key',
      rootKey(3),
      '--out',
      file,
      '--expires-days',
      '20',
    );
    await quickly(['fleet', 'init', '--out', at('other'), '--root-keys', '1', '--threshold', '1']);
    const other = ['--fleet', at('other/device')];
    const soon = at('soon.json');
    await ask(
      'fleet',
      'rotate',
      ...other,
      '--key',
      at('other/root/root-1.key.pem'),
      '--out',
      soon,
      '--expires-days',
      '20',
    );
    expect((await quickly(['fleet', 'publish', soon, '--to', at('other/device')])).code).toBe(0);
    const shown = await ask('fleet', 'show', ...other);
    expect(shown.document.warning).toMatch(/root statement 2 ends in (?:19|20) days; renew it/);
    expect(shown.stderr).toContain('renew it');
    // Of another fleet.
    expect((await ask('fleet', 'show', file, ...other)).document.findings?.[0]?.rule).toBe('root-threshold');
    expect((await ask('fleet', 'publish', file, '--to', at('other/device'))).code).toBe(1);
  });
});

describe('a new publisher', () => {
  test('may sign once two holders have said so, in two places, and not before', async () => {
    const file = at('add.json');
    const add = ['fleet', 'rotate', '--publisher', `${pub('second')}=detector,lung`];
    const first = await ask(...add, ...place(), '--key', rootKey(1), '--out', file);
    expect(first.document).toMatchObject({ complete: false, byBefore: { missing: 1 }, byItself: { missing: 1 } });
    const early = await ask('fleet', 'publish', file, '--to', at('fleet/controller'));
    expect([early.code, early.document.findings?.[0]?.rule]).toEqual([1, 'root-threshold']);
    expect((await quickly(['fleet', 'show', file, ...place()])).stdout).toContain(
      'nothing → publisher of detector, lung',
    );
    const again = await ask('fleet', 'sign', file, '--key', rootKey(1), ...place());
    expect(again.document.complete).toBe(false);
    expect((await ask('fleet', 'sign', file, '--key', rootKey(3), ...place())).document.complete).toBe(true);
    const { code, stdout } = await quickly([
      'fleet',
      'publish',
      file,
      '--to',
      at('fleet/controller'),
      '--to',
      at('fleet/device'),
    ]);
    expect([code, stdout.match(/root statement 1 → 2/g)?.length]).toEqual([0, 2]);
    for (const folder of ['controller', 'device']) {
      const trust = await trustOf(folder);
      expect([trust.version, trust.publishersFor('lung').size, trust.publishersFor('detector').size]).toEqual([
        2, 1, 2,
      ]);
    }
    expect((await quickly(['fleet', 'publish', file, '--to', at('fleet/device')])).stdout).toContain('already');
  });

  test('and another sign together where the root asks for two', async () => {
    await inForce('fleet', 'rotate', '--release-threshold', 'detector=2');
    expect((await trustOf('device')).root.crit).toEqual(['releaseThresholds']);
    const words = '--model-id detector --release-version 1 --security-version 1 --slot-role r --hardware-class h'.split(
      ' ',
    );
    const first = ['--key', at('fleet/publisher/publisher.key.pem'), '--out', at('rel')];
    const made2 = await ask('release', 'make', at('model'), ...words, ...first);
    const add = ['release', 'add', at('rel'), '--state', at('fleet/controller')];
    expect((await ask(...add)).document.findings?.map((one) => one.rule)).toEqual(['release-threshold']);
    const signed = async (name: string): Promise<Answer> =>
      ask('release', 'countersign', at('rel'), '--key', name, ...place());
    expect((await signed(at('fleet/publisher/publisher.key.pem'))).document).toMatchObject({
      complete: false,
      needed: 2,
    });
    expect((await quickly(['release', 'countersign', at('rel'), '--key', key('online'), ...place()])).code).toBe(2);
    const good = await signed(key('second'));
    expect(good.document).toMatchObject({ release: made2.document.release, complete: true });
    expect((await ask(...add)).code).toBe(0);
    await scratch.write({ 'rel/model/more': 'x' });
    const bad = await signed(key('second'));
    expect([bad.code, bad.document.findings?.[0]?.rule]).toEqual([1, 'release-file-surplus']);
  });
});

describe('fleet revoke', () => {
  test('ends a key, keeps the reason, and warns of what hangs on it', async () => {
    const { root } = await trustOf('device');
    const [publisher] = root.publishers;
    const id = publisher?.id ?? '';
    await inForce('fleet', 'rotate', '--release-threshold', 'detector=1');
    await inForce('fleet', 'revoke', id.slice(0, 12), '--reason', 'laptop stolen');
    const shown = await ask('fleet', 'show', ...place());
    expect(shown.document.publishers?.find((one) => one.id === id)?.revoked).toBe(true);
    expect((await quickly(['fleet', 'show', ...place()])).stdout).toContain('revoked: laptop stolen');
    const hard = ['--reason', 'x', ...place(), '--key', rootKey(1), '--out', at('r.json')];
    const result = await ask('fleet', 'revoke', root.results[0]?.id ?? '', ...hard);
    expect(result.stderr).toContain('count no more once it is revoked');
    const twice = ['fleet', 'revoke', id, '--reason', 'x', ...place(), '--key', rootKey(1), '--out', at('n.json')];
    expect((await quickly(twice)).stderr).toContain('revoked already');
  });

  test.each([
    ['no key', ['revoke', 'ffffffffffff', '--reason', 'x'], 'is no key of this fleet'],
    ['a name too short', ['revoke', 'ab', '--reason', 'x'], 'is no key of this fleet'],
    ['a threshold out of reach', ['rotate', '--threshold', '4'], 'can never be reached'],
    ['too few publishers', ['rotate', '--release-threshold', 'detector=5'], 'publishers of detector must sign'],
    ['a publisher without models', ['rotate', '--publisher', 'x'], 'must be PUBLIC_KEY=MODEL'],
    ['a number that is none', ['rotate', '--release-threshold', 'detector=two'], 'from 1 to 16'],
  ])('and rotate call %s wrong usage, and write nothing', async (_, args, words) => {
    const called = await quickly(['fleet', ...args, ...place(), '--key', rootKey(1), '--out', at('none.json')]);
    expect(called.code).toBe(2);
    expect(called.stderr).toContain(words);
    await expect(readFile(at('none.json'))).rejects.toThrow('ENOENT');
  });

  test('refuse a key that is no root key, and never overwrite', async () => {
    const rotate = ['fleet', 'rotate', ...place(), '--out', at('x.json')];
    expect((await quickly([...rotate, '--key', key('a')])).stderr).toContain('is no root key of this fleet');
    expect((await quickly([...rotate, '--key', rootKey(1)])).code).toBe(0);
    expect((await quickly([...rotate, '--key', rootKey(1)])).code).toBe(3);
    expect((await quickly(['fleet', 'sign', at('x.json'), '--key', key('a'), ...place()])).code).toBe(2);
    await scratch.write({ 'bad.json': '{}' });
    for (const args of [
      ['sign', at('bad.json'), '--key', rootKey(1), ...place()],
      ['show', at('bad.json'), ...place()],
    ]) {
      expect((await ask('fleet', ...args)).document.findings?.[0]?.rule).toBe('root-malformed');
    }
  });
});

test('root keys change hands, and the old ones say nothing more', async () => {
  const file = at('moved.json');
  const named = ['a', 'b', 'c'].flatMap((name) => ['--root-key', pub(name)]);
  await ask('fleet', 'rotate', ...place(), ...named, '--key', rootKey(1), '--key', rootKey(2), '--out', file);
  const half = await ask('fleet', 'show', file, ...place());
  expect(half.document).toMatchObject({ complete: false, byBefore: { missing: 0 }, byItself: { missing: 2 } });
  for (const name of ['a', 'c']) await ask('fleet', 'sign', file, '--key', key(name), ...place());
  expect((await quickly(['fleet', 'publish', file, '--to', at('fleet/device')])).code).toBe(0);
  const late = ['fleet', 'rotate', ...place(), '--out', at('late.json'), '--key'];
  expect((await quickly([...late, rootKey(1)])).code).toBe(2);
  expect((await quickly([...late, key('a'), '--key', key('b')])).code).toBe(0);
  // The controller missed one statement, and takes both at once.
  const both = await quickly(['fleet', 'publish', at('late.json'), '--to', at('fleet/controller')]);
  expect(both.code).toBe(0);
  expect((await trustOf('controller')).root.root.keys).toHaveLength(3);
  expect((await trustOf('controller')).version).toBe((await trustOf('device')).version + 1);
});
