// What a golden device teaches, the file it is written to, and how N and N−1 overlap in it.
import { describe, expect, test } from 'vitest';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { readImaList } from '../../src/boot/ima-list.ts';
import { learnBoot } from '../../src/boot/learn.ts';
import type { GoldenBoot } from '../../src/boot/learn.ts';
import { replayFirmwareLog } from '../../src/boot/pcr-replay.ts';
import { readPcrValues } from '../../src/boot/pcr-values.ts';
import { allowedPcrs, mergeReferences, readBootReferenceFile } from '../../src/boot/reference-file.ts';
import type { BootReferenceFile } from '../../src/boot/reference-file.ts';
import { toHex, toUtf8 } from '../../src/bytes/text.ts';
import { ConfigError, TouchstoneError, WireError } from '../../src/errors.ts';
import { firmwareLog, HONEST, imaAscii, imaPcr, separator, sha256 } from './log-builder.ts';

const log = readFirmwareLog(firmwareLog(...HONEST));
const told = replayFirmwareLog(log);
const golden: GoldenBoot = { log, ima: null, pcrs: told, wanted: [0, 4, 7, 9] };
const hexOf = (pcr: number): string => toHex(told.get(pcr) ?? Buffer.alloc(0));

describe('a boot is learned', () => {
  test('with the value of each PCR of the profile, when log and TPM agree', () => {
    const { pcrs, faults, secureBoot } = learnBoot(golden);
    expect(faults).toEqual([]);
    expect(pcrs).toEqual({ 0: hexOf(0), 4: hexOf(4), 7: hexOf(7), 9: hexOf(9) });
    expect(secureBoot).toBe('on');
  });

  test('without values of the TPM only with a note', () => {
    expect(learnBoot({ ...golden, pcrs: null })).toMatchObject({ faults: [], notes: [/believed without proof/] });
  });

  test('with a PCR that only the TPM tells of, and a note', () => {
    const boot = { ...golden, pcrs: new Map([...told, [11, sha256(Buffer.from('stub'))]]), wanted: [0, 11] };
    expect(learnBoot(boot)).toMatchObject({ faults: [], notes: [/PCR 11 is as the TPM says/] });
  });

  test.each<[string, Partial<GoldenBoot>, RegExp]>([
    [
      'a PCR on which log and TPM differ',
      { pcrs: new Map([...told, [4, sha256(Buffer.from('x'))]]) },
      /PCR 4: .*, the TPM/,
    ],
    [
      'a PCR that the TPM’s values leave out',
      { pcrs: new Map([[0, told.get(0) ?? Buffer.alloc(0)]]) },
      /PCR 4 is not among/,
    ],
    ['a PCR that nothing tells of', { pcrs: null, wanted: [12] }, /says nothing of PCR 12/],
    ['the PCR that changes with every file', { wanted: [10] }, /PCR 10 changes/],
    ['a profile that names none', { wanted: [] }, /nothing to learn/],
    ['a kernel’s list of another boot', { ima: readImaList(imaAscii({ path: 'boot_aggregate' })) }, /another boot/],
    ['a kernel’s list without its first record', { ima: readImaList(imaAscii({ path: '/init' })) }, /does not begin/],
  ])('never with %s', (_, change, fault) => {
    const { faults } = learnBoot({ ...golden, ...change });
    expect(faults.join('\n')).toMatch(fault);
  });

  test('with how much of the kernel’s list explains PCR 10, and not when nothing does', () => {
    const content = Buffer.concat([...told.values()]).toString('latin1');
    // The builder hashes text as UTF-8, so the aggregate is not this boot's: only PCR 10 is looked at here.
    const records = [
      { path: 'boot_aggregate', content },
      { path: '/x', violation: true },
    ];
    const ima = readImaList(imaAscii(...records));
    const boot = { ...golden, ima, pcrs: new Map([...told, [10, imaPcr(...records)]]) };
    expect(learnBoot(boot)).toMatchObject({ ima: { explained: 2, violations: 1 }, notes: [/1 files could not/] });
    const other = learnBoot({ ...boot, pcrs: new Map([...told, [10, sha256(Buffer.from('x'))]]) });
    expect(other.ima).toBeNull();
    expect(other.faults.join('\n')).toMatch(/does not explain PCR 10/);
  });
});

const component = {
  agent: '1'.repeat(64),
  node: '2'.repeat(64),
  profile: '3'.repeat(64),
  trust: '4'.repeat(64),
  runtime: null,
  gateMode: 'none',
} as const;
const fileOf = (name: string, digit: string): BootReferenceFile => ({
  v: 1,
  profile: 'edge',
  bank: 'sha256',
  coversAgent: true,
  boots: [{ name, pcrs: { 0: digit.repeat(64), 7: 'f'.repeat(64) } }],
  components: [{ ...component, agent: digit.repeat(64) }],
});
const [first, second, third] = [fileOf('1', 'a'), fileOf('2', 'b'), fileOf('3', 'c')];

describe('merging', () => {
  test('keeps the boot before beside the new one, and drops the one before that', () => {
    const merged = mergeReferences(mergeReferences(first, second, 2), third, 2);
    expect(merged.boots.map(({ name }) => name)).toEqual(['3', '2']);
    expect(merged.components?.map(({ agent }) => agent[0])).toEqual(['c', 'b']);
  });

  test('of the same boot again keeps the older one too', () => {
    const merged = mergeReferences(
      mergeReferences(first, second, 2),
      { ...second, boots: [{ name: 'again', pcrs: second.boots[0]?.pcrs ?? {} }] },
      2,
    );
    expect(merged.boots.map(({ name }) => name)).toEqual(['again', '1']);
  });

  test('never claims more than both files do', () => {
    expect(mergeReferences({ ...first, coversAgent: false }, second, 2).coversAgent).toBe(false);
    expect(mergeReferences({ ...first, components: null }, second, 2).components).toBeNull();
  });

  test('refuses files of two profiles', () => {
    expect(() => mergeReferences({ ...first, profile: 'other' }, second, 2)).toThrow(ConfigError);
  });
});

describe('the file', () => {
  const bytesOf = (value: unknown): Buffer => toUtf8(JSON.stringify(value));

  test('allows each PCR the values of all its boots, and leaves out what none names or nobody quotes', () => {
    const allowed = allowedPcrs(readBootReferenceFile(bytesOf(mergeReferences(first, second, 2)), 'f'), [0, 4, 7]);
    expect(allowed).toEqual(
      new Map([
        [0, new Set(['b'.repeat(64), 'a'.repeat(64)])],
        [7, new Set(['f'.repeat(64)])],
      ]),
    );
    expect(allowedPcrs(first, [4])).toEqual(new Map());
  });

  test.each<[string, unknown]>([
    ['an unknown field', { ...first, more: 1 }],
    ['a later version', { ...first, v: 2 }],
    ['no boot', { ...first, boots: [] }],
    ['a PCR that software can reset', { ...first, boots: [{ name: 'x', pcrs: { 16: 'a'.repeat(64) } }] }],
    ['a PCR number in another spelling', { ...first, boots: [{ name: 'x', pcrs: { '00': 'a'.repeat(64) } }] }],
    ['a digest in capitals', { ...first, boots: [{ name: 'x', pcrs: { 0: 'A'.repeat(64) } }] }],
    ['an empty list of components, which would forbid all', { ...first, components: [] }],
  ])('is refused with %s', (_, value) => {
    expect(() => readBootReferenceFile(bytesOf(value), 'f')).toThrow(TouchstoneError);
  });

  test('is refused when it is not JSON, or says a thing twice', () => {
    expect(() => readBootReferenceFile(toUtf8('{'), 'f')).toThrow(ConfigError);
    expect(() => readBootReferenceFile(toUtf8('{"v":1,"v":1}'), 'f')).toThrow(ConfigError);
  });
});

describe('saved PCR values', () => {
  const value = 'ab'.repeat(32);

  test.each([
    ['as tpm2_pcrread prints them', `  sha256:\n    0 : 0x${value.toUpperCase()}\n    15: 0x${value}\n`],
    ['as lines of number and value', `0 ${value}\n15 ${value}`],
  ])('are read %s', (_, text) => {
    expect([...readPcrValues(toUtf8(text))].map(([pcr, bytes]) => [pcr, toHex(bytes)])).toEqual([
      [0, value],
      [15, value],
    ]);
  });

  test.each([
    ['of another bank', `sha1:\n 0 : 0x${'ab'.repeat(20)}`],
    ['with a PCR twice', `0 ${value}\n0 ${value}`],
    ['with a PCR that does not exist', `24 ${value}`],
    ['of nothing', 'sha256:\n'],
    ['larger than any', '\n'.repeat(20_000)],
  ])('are refused %s', (_, text) => {
    expect(() => readPcrValues(toUtf8(text))).toThrow(WireError);
  });
});

test('a separator tells of its PCR in the log that was learned', () => {
  // The builder's separators are the firmware's: SHA-256 of four zero bytes.
  const one = learnBoot({ log: readFirmwareLog(firmwareLog(separator(5))), ima: null, pcrs: null, wanted: [5] });
  expect(one.pcrs['5']).toBe(toHex(sha256(Buffer.alloc(32), sha256(Buffer.alloc(4)))));
});
