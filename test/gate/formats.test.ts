// The profile's word on formats: good files pass, files with code are known, and no header breaks the one who reads it.
import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { onnxClassifier } from '../../src/demo/onnx-model.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { listTree } from '../../src/files/tree.ts';
import { judgeFormats } from '../../src/gate/formats/policy.ts';
import { MODEL_FORMATS } from '../../src/profile/profile.ts';
import type { ModelFormat } from '../../src/profile/profile.ts';
import { makeRelease } from '../release/publisher.ts';
import { Device, profile } from './device.ts';
import { field, gguf, openvino, safetensors, tensor, tflite } from './model-files.ts';

const root = mkdtempSync(join(tmpdir(), 'formats-'));
const pool = new HashPool();
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

type Files = Readonly<Record<string, Uint8Array | string>>;

/** The rules that a model of these files breaks, each with what was found. */
async function found(files: Files, allowed: readonly ModelFormat[] | null = MODEL_FORMATS): Promise<string[]> {
  const folder = mkdtempSync(join(root, 'm-'));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const tree = await listTree(folder);
  const faults = await judgeFormats(folder, tree.files, allowed);
  rmSync(folder, { recursive: true });
  return faults.map((fault) => `${fault.rule} ${fault.found}`);
}

const GOOD: Readonly<Record<string, Files>> = {
  safetensors: { 'm.safetensors': safetensors({ a: [0, 4], b: [4, 12] }, 12) },
  'safetensors without tensors': { 'm.safetensors': safetensors({}, 0) },
  onnx: { 'm.onnx': onnxClassifier('seed') },
  'onnx with external data': {
    'm.onnx': tensor({ location: 'w.bin', offset: '4', length: '8' }),
    'w.bin': Buffer.alloc(12),
  },
  gguf: { 'm.gguf': gguf() },
  tflite: { 'm.tflite': tflite() },
  openvino: { 'm.xml': openvino(4, 8), 'm.bin': Buffer.alloc(12) },
  'openvino without constants': { 'm.xml': '<?xml version="1.0"?>\n<net name="m"><layers/></net>\n' },
  companions: {
    LICENSE: 'x',
    'labels.txt': 'cat\ndog\n',
    'config.json': '{}',
    'weights.bin': Buffer.alloc(64, 0x55),
    'a.md': '',
  },
};

describe('takes', () => {
  test.each(Object.entries(GOOD))('%s', async (_, files) => {
    expect(await found(files)).toEqual([]);
  });

  test('anything, where the profile does not care', async () => {
    expect(await found({ 'x.pkl': Buffer.from('80040000', 'hex') }, null)).toEqual([]);
  });
});

describe('refuses code', () => {
  test.each([
    ['a pickle', Buffer.from('80049500', 'hex')],
    ['a pickle', Buffer.from('cos\nsystem\n(S"id"\ntR.')],
    ['a pickle', Buffer.from('(lp0\nc__builtin__\neval\n')],
    ['a zip archive', Buffer.from('504b030414000000', 'hex')],
    ['a gzip archive', gzipSync('x')],
    ['a tar archive', Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\u000000')])],
    ['an HDF5 file', Buffer.from('894844460d0a1a0a00', 'hex')],
    ['a NumPy file', Buffer.from('934e554d50590100', 'hex')],
    ['a program (ELF)', readFileSync(process.execPath).subarray(0, 4096)],
    ['a script', Buffer.from('#!/bin/sh\n')],
  ])('%s, whatever it is called', async (what, bytes) => {
    for (const name of ['pytorch_model.bin', 'm.data']) {
      const [first = '', ...more] = await found({ [name]: bytes });
      expect(first.startsWith(`release-format ${name}: ${what}`)).toBe(true);
      expect(more).toEqual([]);
    }
  });

  test('under the name of a model format as well', async () => {
    expect(await found({ 'm.onnx': Buffer.from('80049500', 'hex') })).toEqual(['release-format m.onnx: a pickle']);
  });

  test('and every kind of file that no model needs', async () => {
    for (const name of ['setup.py', 'op.so', '.hidden', 'noextension', 'm.pt']) {
      expect(await found({ [name]: 'x' })).toEqual([`release-format ${name}: a kind of file that no model needs`]);
    }
  });
});

test('a format that the profile does not allow is refused, by its name or by its mark', async () => {
  expect(await found({ 'm.onnx': onnxClassifier('s') }, ['gguf'])).toEqual(['release-format m.onnx: onnx']);
  expect(await found({ 'm.bin': gguf() }, ['onnx'])).toEqual(['release-format m.bin: gguf']);
  expect(await found({ 'm.bin': tflite() }, ['onnx'])).toEqual(['release-format m.bin: tflite']);
  expect(await found({ 'm.tflite': gguf() })).toEqual(['release-format-header m.tflite: is gguf']);
});

describe('refuses a header that does not hold together', () => {
  const cases: Readonly<Record<string, Files>> = {
    'safetensors: header longer than the file': { 'm.safetensors': Buffer.from('ff00000000000000', 'hex') },
    'safetensors: header of 2^63 bytes': { 'm.safetensors': Buffer.from('ffffffffffffff7f', 'hex') },
    'safetensors: overlap': { 'm.safetensors': safetensors({ a: [0, 8], b: [4, 12] }, 12) },
    'safetensors: gap': { 'm.safetensors': safetensors({ a: [0, 4], b: [8, 12] }, 12) },
    'safetensors: data left over': { 'm.safetensors': safetensors({ a: [0, 4] }, 8) },
    'safetensors: data missing': { 'm.safetensors': safetensors({ a: [0, 8] }, 4) },
    'safetensors: shape of another size': { 'm.safetensors': safetensors({ a: [0, 4] }, 4, { shape: [2] }) },
    'safetensors: shape beyond all numbers': {
      'm.safetensors': safetensors({ a: [0, 4] }, 4, { shape: [2 ** 52, 2 ** 52, 2 ** 52] }),
    },
    'safetensors: unknown type': { 'm.safetensors': safetensors({ a: [0, 4] }, 4, { dtype: 'PYOBJECT' }) },
    'safetensors: no object': { 'm.safetensors': Buffer.from('02000000000000005b5d', 'hex') },
    'onnx: empty': { 'm.onnx': '' },
    'onnx: noise': { 'm.onnx': Buffer.alloc(64, 0xff) },
    'onnx: two graphs': { 'm.onnx': Buffer.concat([field(7, Buffer.alloc(0)), field(7, Buffer.alloc(0))]) },
    'onnx: a field longer than the file': { 'm.onnx': Buffer.from('3aff01', 'hex') },
    'onnx: a group': { 'm.onnx': Buffer.from('0b', 'hex') },
    'onnx: field 0': { 'm.onnx': Buffer.from('0000', 'hex') },
    'onnx: external data outside': { 'm.onnx': tensor({ location: '../../etc/passwd' }) },
    'onnx: external data at an absolute path': { 'm.onnx': tensor({ location: '/etc/passwd' }) },
    'onnx: external data that is not there': { 'm.onnx': tensor({ location: 'w.bin' }) },
    'onnx: external data beyond its file': {
      'm.onnx': tensor({ location: 'w.bin', length: '9' }),
      'w.bin': Buffer.alloc(8),
    },
    'onnx: external data at a place that is no number': {
      'm.onnx': tensor({ location: 'w.bin', offset: '-1' }),
      'w.bin': Buffer.alloc(8),
    },
    'gguf: another version': { 'm.gguf': gguf({ version: 9 }) },
    'gguf: more tensors than there are': { 'm.gguf': gguf({ tensors: 2n }) },
    'gguf: tensors beyond all numbers': { 'm.gguf': gguf({ tensors: 2n ** 64n - 1n }) },
    'gguf: keys beyond all numbers': { 'm.gguf': gguf({ keys: 2n ** 40n }) },
    'gguf: an array longer than the file': { 'm.gguf': gguf({ arrayLength: 2n ** 60n }) },
    'gguf: a tensor beyond the data': { 'm.gguf': gguf({ offset: 4096n }) },
    'gguf: a tensor out of line': { 'm.gguf': gguf({ offset: 7n }) },
    'gguf: a type of value that is not there': { 'm.gguf': gguf({ valueType: 77 }) },
    'tflite: no mark': { 'm.tflite': Buffer.alloc(64) },
    'tflite: root outside': { 'm.tflite': tflite({ root: 1_000_000 }) },
    'tflite: another version': { 'm.tflite': tflite({ version: 2 }) },
    'tflite: a buffer beyond the file': { 'm.tflite': tflite({ bufferLength: 1_000_000 }) },
    'tflite: buffers beyond all numbers': { 'm.tflite': tflite({ buffers: 0xffffffff }) },
    'openvino: constants beyond the weights': { 'm.xml': openvino(8, 8), 'm.bin': Buffer.alloc(12) },
    'openvino: constants without weights': { 'm.xml': openvino(0, 8) },
    'openvino: entities': { 'm.xml': '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net>&x;</net>' },
    'openvino: an entity inside': { 'm.xml': '<net><!ENTITY x "y"></net>' },
    'openvino: another document': { 'm.xml': '<html></html>' },
    'openvino: no text': { 'm.xml': Buffer.from([0x3c, 0xff]) },
  };
  test.each(Object.entries(cases))('%s', async (_, files) => {
    const faults = await found(files);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^release-format-header m\./);
  });
});

test('any byte of a good file changed, and any bytes at all, are judged and never thrown', async () => {
  const names: Readonly<Record<string, Buffer>> = {
    'm.safetensors': safetensors({ a: [0, 4], b: [4, 12] }, 12),
    'm.onnx': onnxClassifier('seed'),
    'n.onnx': tensor({ location: 'w.bin', offset: '4' }),
    'm.gguf': gguf(),
    'm.tflite': tflite(),
    'm.xml': Buffer.from(openvino(4, 8)),
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(names)),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      fc.nat({ max: 40 }),
      fc.uint8Array({ maxLength: 64 }),
      async (name, changes, cut, noise) => {
        const good = names[name] ?? Buffer.alloc(0);
        const bad = Buffer.from(good.subarray(0, good.length - (cut % 5 === 0 ? cut : 0)));
        for (const [at, byte] of changes) if (bad.length > 0) bad[at % bad.length] = byte;
        for (const bytes of [bad, noise]) {
          const faults = await found({ [name]: bytes, 'w.bin': Buffer.alloc(12), 'm.bin': Buffer.alloc(12) });
          expect(faults.every((fault) => /^release-format(?:-header)? /.test(fault))).toBe(true);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('the gate refuses what the profile does not allow, and takes it where nothing is said of formats', async () => {
  const { id, folder } = await makeRelease(join(root, 'release'), pool, { files: { 'setup.py': 'import os' } });
  await using device = new Device(pool);
  const changes = { profile: { ...profile, formats: ['onnx'] as const } };
  expect(await device.install(id, folder, { changes })).toMatchObject({ kind: 'refused', rule: 'release-format' });
  expect(device.names('releases')).toEqual([]);
  expect(await device.install(id, folder)).toMatchObject({ rule: 'done' });
});
