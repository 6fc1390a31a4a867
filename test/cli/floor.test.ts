// `touchstone floor token|first-token|recover`: what the holders of the two floor keys sign, and everything they cannot.
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { floorDefinitionOf } from '../../src/release/floor-definition.ts';
import { loadTrust } from '../../src/release/root.ts';
import { SlotFloors } from '../../src/tpm/floor/slot-floors.ts';
import type { VersionFloors } from '../../src/tpm/floor/floors.ts';
import { decodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { isSigned } from '../../src/tpm/floor/token.ts';
import type { FloorToken } from '../../src/tpm/floor/token.ts';
import { quickly, quicklyJson, Scratch } from '../support/binary.ts';

const PROFILE = new URL('../../firmware-profiles/swtpm-development.json', import.meta.url).pathname;
const AK_NAME = `000b${'ab'.repeat(32)}`;

let scratch: Scratch;
let slot: string;
let number = 0;

const at = (...parts: string[]): string => scratch.path(...parts);
const by = (key: string): string[] => ['--fleet', at('fleet/device'), '--key', at('fleet/root', `${key}.key.pem`)];
const out = (): string => at(`token-${++number}.json`);

beforeAll(async () => {
  scratch = await Scratch.make();
  await quickly(['fleet', 'init', '--out', at('fleet'), '--profile', PROFILE]);
  const profile = JSON.parse(await readFile(PROFILE, 'utf8')) as { slots: { name: string }[] };
  slot = profile.slots[0]?.name ?? '';
  const slots = [
    { ...profile.slots[0], floor: 3 },
    { ...profile.slots[0], name: 'plain' },
  ];
  await writeFile(at('profile.json'), JSON.stringify({ ...profile, floorMaxStep: 5, slots }));
  await writeFile(at('request.json'), JSON.stringify({ v: 1, akName: AK_NAME, generation: '7' }));
});

afterAll(async () => scratch[Symbol.asyncDispose]());

/** The token in a file, which must be signed for the floors of this fleet. */
async function tokenIn(file: string): Promise<FloorToken> {
  const read = async (name: string): Promise<Buffer> => readFile(at('fleet/device', name));
  const { root } = loadTrust(await read('fleet.json'), await read('root.json'), Date.now(), 0);
  const definition = floorDefinitionOf(root);
  const token = decodeFloorToken(await readFile(file));
  expect(definition !== null && isSigned(definition, token)).toBe(true);
  return token;
}

const order = (): string[] => ['floor', 'token', '--profile', at('profile.json'), '--slot', slot];

describe('floor token', () => {
  test('raises one floor to one version, by the step that the profile allows', async () => {
    const file = out();
    const { code, document } = await quicklyJson([...order(), '--to', '9', '--out', file, ...by('floor')]);
    expect([code, document]).toEqual([0, { file, slot, floor: 3, to: 9, maxStep: 5, by: 'floor' }]);
    expect(await tokenIn(file)).toMatchObject({ kind: 'raise', slot: 3, to: 9n, maxStep: 5n, by: 'floor' });
  });

  test('of the recovery key may be for a longer step', async () => {
    const file = out();
    const far = ['--to', '900', '--max-step', '900', '--out', file];
    expect((await quickly([...order(), ...far, ...by('floor-recovery')])).code).toBe(0);
    expect(await tokenIn(file)).toMatchObject({ maxStep: 900n, by: 'root' });
  });

  test.each<[string, () => string[], string]>([
    ['a key that is no floor key', () => ['--to', '9', '--out', out(), ...by('root-1')], 'is no floor key'],
    ['neither a release nor a version', () => by('floor'), 'give --release, or --to'],
    ['both', () => ['--release', at('x'), '--to', '1', ...by('floor')], 'give --release, or --to'],
    ['a version and no file', () => ['--to', '1', ...by('floor')], '--to needs --out'],
    [
      'a slot without a floor',
      () => ['--slot', 'plain', '--to', '1', '--out', out(), ...by('floor')],
      'has no version floor',
    ],
    ['a slot that is not there', () => ['--slot', 'no', '--to', '1', '--out', out(), ...by('floor')], 'has no slot no'],
  ])('with %s is wrong usage', async (_, args, words) => {
    const called = await quickly([...order(), ...args()]);
    expect(called.code).toBe(2);
    expect(called.stderr).toContain(words);
  });

  test('is not made for what no publisher of the fleet signed, and never over another', async () => {
    await scratch.write({ 'folder/model/x': 'x', 'there.json': '' });
    const none = await quickly([...order(), '--release', at('folder'), ...by('floor')]);
    expect([none.code, none.stderr]).toEqual([3, expect.stringContaining('release-unsigned')]);
    expect((await quickly([...order(), '--to', '1', '--out', at('there.json'), ...by('floor')])).code).toBe(3);
  });
});

describe.each(['first-token', 'recover'])('floor %s', (command) => {
  test('is good on one device and at one generation, at the floors it names', async () => {
    const file = out();
    const more = ['--at', `${slot}=4`, '--profile', at('profile.json'), '--out', file];
    expect((await quickly(['floor', command, at('request.json'), ...more, ...by('floor-recovery')])).code).toBe(0);
    const token = await tokenIn(file);
    expect(token).toMatchObject({
      kind: 'first-write',
      generation: 7n,
      akName: Buffer.from(AK_NAME, 'hex'),
      by: 'root',
    });
    expect(token.kind === 'first-write' && token.values).toEqual([0n, 0n, 0n, 4n, 0n, 0n, 0n, 0n]);
  });

  test('is not for the key that raises floors, nor for a request that is none', async () => {
    const made = await quickly(['floor', command, at('request.json'), '--out', out(), ...by('floor')]);
    expect([made.code, made.stderr]).toEqual([2, expect.stringContaining('floor recovery key')]);
    const bad = ['floor', command, at('profile.json'), '--out', out(), ...by('floor-recovery')];
    expect((await quickly(bad)).code).toBe(3);
    const where = ['floor', command, at('request.json'), '--at', 'x', '--out', out(), ...by('floor-recovery')];
    expect((await quickly(where)).stderr).toContain('is not SLOT=VERSION');
  });
});

test('a revoked floor key signs nothing here, and no device takes what it signed', async () => {
  const file = out();
  await quickly([...order(), '--to', '2', '--out', file, ...by('floor')]);
  const place = ['--fleet', at('fleet/device')];
  const shown = await quicklyJson(['fleet', 'show', ...place]);
  const [{ id } = { id: '' }] = (shown.document as { floor: { id: string }[] }).floor;
  const next = at('root-2.json');
  const keys = ['--key', at('fleet/root/root-1.key.pem'), '--key', at('fleet/root/root-2.key.pem')];
  await quickly(['fleet', 'revoke', id, '--reason', 'lost', ...place, ...keys, '--out', next]);
  expect((await quickly(['fleet', 'publish', next, '--to', at('fleet/device')])).code).toBe(0);
  expect((await quickly([...order(), '--to', '3', '--out', out(), ...by('floor')])).stderr).toContain('is revoked');

  const raised: string[] = [];
  const tpm = { refusals: async () => [], raise: async () => raised.push('raised') } as unknown as VersionFloors;
  const options = { floors: tpm, slots: new Map([[slot, 3]]) };
  const bytes = await readFile(file);
  const careful = new SlotFloors({ ...options, isRevoked: (role) => role === 'floor' });
  expect(await careful.refusals(slot, 2, bytes)).toEqual(['key-revoked']);
  await careful.raise(slot, 2, bytes);
  expect(raised).toEqual([]);
  // Without the question the TPM takes it: it knows nothing of revocations.
  await new SlotFloors(options).raise(slot, 2, bytes);
  expect(raised).toEqual(['raised']);
  expect(await careful.refusals('plain', 2, null)).toEqual([]);
});
