// `touchstone sign` and `verify`: what is signed is verified, by us and by other tools, and nothing else is.
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pae } from '../../src/crypto/dsse.ts';
import { quickly, quicklyJson, Scratch, touchstone } from '../support/binary.ts';

interface Verified {
  readonly trusted: boolean;
  readonly method: string;
  readonly files: number;
  readonly ignored: readonly string[];
  readonly unsigned: readonly string[];
  readonly findings: readonly {
    readonly rule: string;
    readonly expected: string;
    readonly found: string;
    readonly now: string;
  }[];
}

let scratch: Scratch;
let key = '';
let pub = '';
let model = '';

beforeEach(async () => {
  scratch = await Scratch.make();
  await quickly(['keygen', '--out', scratch.path('keys')]);
  [key, pub, model] = [
    scratch.path('keys/publisher.key.pem'),
    scratch.path('keys/publisher.pub.pem'),
    scratch.path('model'),
  ];
  await scratch.write({ 'model/weights.bin': 'weights', 'model/labels/names.txt': 'cat\n', 'model/empty': '' });
});

afterEach(async () => scratch[Symbol.asyncDispose]());

async function sign(...more: string[]): Promise<void> {
  const { code, stderr } = await quickly(['sign', model, '--key', key, ...more]);
  if (code !== 0) throw new Error(stderr);
}

async function verify(...more: string[]): Promise<{ code: number | null; document: Verified; stderr: string }> {
  const called = await quicklyJson(['verify', model, '--key', pub, ...more]);
  return { ...called, document: called.document as Verified };
}

async function rules(...more: string[]): Promise<string[]> {
  const { code, document } = await verify(...more);
  expect(code).toBe(document.trusted ? 0 : 1);
  return document.findings.map((finding) => finding.rule);
}

describe('a signed model', () => {
  test.each([
    ['files', []],
    ['shards', ['--method', 'shards', '--shard-size', '3']],
  ])('verifies, signed by %s', async (_method, options) => {
    await sign(...options);
    const { code, document } = await verify();
    expect(code).toBe(0);
    expect(document).toMatchObject({ trusted: true, method: 'key', findings: [], ignored: [] });
  });

  test('may be one file, with its signature beside it', async () => {
    model = scratch.path('model/weights.bin');
    await sign();
    expect(await rules()).toEqual([]);
    await expect(stat(scratch.path('model/model.sig'))).resolves.toBeDefined();
  });

  test('may be given as a link, from any folder, with its signature anywhere', async () => {
    await symlink('model', scratch.path('link'));
    const { code } = await touchstone(['sign', 'link', '--key', 'keys/publisher.key.pem', '--signature', 'm.sig'], {
      cwd: scratch.dir,
    });
    expect(code).toBe(0);
    expect(
      (
        await touchstone(['verify', 'link/', '--key', 'keys/publisher.pub.pem', '--signature', 'm.sig'], {
          cwd: scratch.dir,
        })
      ).code,
    ).toBe(0);
  });

  test('is signed again over its older signature', async () => {
    await sign();
    await appendFile(scratch.path('model/weights.bin'), '!');
    await sign();
    expect(await rules()).toEqual([]);
  });

  test('tells its document by stable names', async () => {
    const { document } = await quicklyJson(['sign', model, '--key', key, '--ignore', 'empty']);
    expect(Object.keys(document as object)).toEqual([
      'model',
      'signature',
      'method',
      'files',
      'bytes',
      'statementDigest',
      'keyId',
      'ignored',
    ]);
    const verified = await verify();
    expect(Object.keys(verified.document)).toEqual([
      'model',
      'signature',
      'trusted',
      'method',
      'signer',
      'statementDigest',
      'files',
      'bytes',
      'ignored',
      'unsigned',
      'findings',
    ]);
    expect(verified.document.ignored).toEqual(['empty']);
    expect(verified.stderr).toContain('anybody may have changed it');
  });
});

describe('a model that is not as signed is refused by the rule', () => {
  test.each<[string, string, () => Promise<unknown>]>([
    ['release-file-changed', 'one byte changed', async () => writeFile(scratch.path('model/weights.bin'), 'weighty')],
    ['release-file-changed', 'a byte appended', async () => appendFile(scratch.path('model/labels/names.txt'), '\n')],
    ['release-file-changed', 'cut short', async () => truncate(scratch.path('model/weights.bin'), 3)],
    ['release-file-missing', 'a file removed', async () => rm(scratch.path('model/labels/names.txt'))],
    ['release-file-missing', 'an empty file removed', async () => rm(scratch.path('model/empty'))],
    ['release-file-surplus', 'an empty file added', async () => writeFile(scratch.path('model/__init__.py'), '')],
    ['release-unsigned', 'its signature removed', async () => rm(scratch.path('model/model.sig'))],
    [
      'release-malformed',
      'its signature garbled',
      async () => writeFile(scratch.path('model/model.sig'), '{"a":1,"a":2}'),
    ],
    [
      'release-file-kind',
      'a file become a link to the same bytes',
      async () => {
        await rename(scratch.path('model/weights.bin'), scratch.path('elsewhere'));
        await symlink(scratch.path('elsewhere'), scratch.path('model/weights.bin'));
      },
    ],
  ])('%s: %s', async (rule, _title, change) => {
    await sign();
    await change();
    expect(await rules()).toEqual([rule]);
  });

  test('every rule that is broken is named, with both sides and what to do', async () => {
    await sign();
    await writeFile(scratch.path('model/weights.bin'), 'others');
    await writeFile(scratch.path('model/more'), 'more');
    const { code, stdout } = await touchstone(['verify', model, '--key', pub]);
    expect(code).toBe(1);
    for (const word of [
      'not to be trusted',
      'release-file-changed',
      'release-file-surplus',
      'expected:',
      'found:',
      'what to do:',
    ]) {
      expect(stdout).toContain(word);
    }
  });

  test('release-signer and release-signature: by another key, or with a signature that does not fit', async () => {
    await quickly(['keygen', '--out', scratch.path('keys'), '--name', 'other']);
    await quickly(['sign', model, '--key', scratch.path('keys/other.key.pem')]);
    expect(await rules()).toEqual(['release-signer']);
    await sign();
    const file = scratch.path('model/model.sig');
    const bundle = JSON.parse(await readFile(file, 'utf8')) as { dsseEnvelope: { payload: string } };
    const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64');
    payload[payload.indexOf('weights.bin')] = 0x57;
    bundle.dsseEnvelope.payload = payload.toString('base64');
    await writeFile(file, JSON.stringify(bundle));
    expect(await rules()).toEqual(['release-signature']);
  });

  test('files that nobody signed are allowed only when the caller says so, and are named', async () => {
    await sign();
    await writeFile(scratch.path('model/notes'), 'x');
    expect(await rules()).toEqual(['release-file-surplus']);
    const { document, stderr } = await verify('--ignore-unsigned-files');
    expect(document).toMatchObject({ trusted: true, unsigned: ['notes'] });
    expect(stderr).toContain('notes');
  });

  test('a name with escape sequences reaches no terminal', async () => {
    await sign();
    await writeFile(scratch.path('model/\u001B[2J'), 'x');
    const { code, stdout, stderr } = await touchstone(['verify', model, '--key', pub]);
    expect(code).toBe(1);
    expect(stdout + stderr).not.toContain('\u001B');
  });
});

describe('signing refuses', () => {
  test('a link inside of the model, and an empty one', async () => {
    await symlink('weights.bin', scratch.path('model/link'));
    expect((await quickly(['sign', model, '--key', key])).code).toBe(3);
    await mkdir(scratch.path('nothing'));
    expect((await quickly(['sign', scratch.path('nothing'), '--key', key])).code).toBe(3);
    expect((await quickly(['sign', scratch.path('nowhere'), '--key', key])).code).toBe(3);
  });

  test('to write over a file that is no signature, or that signs another file', async () => {
    const over = await quickly(['sign', model, '--key', key, '--signature', scratch.path('keys/publisher.pub.pem')]);
    expect(over.code).toBe(3);
    expect(await readFile(pub, 'utf8')).toContain('PUBLIC KEY');
    await quickly(['sign', scratch.path('model/weights.bin'), '--key', key]);
    const other = await quickly(['sign', scratch.path('model/empty'), '--key', key]);
    expect(other.code).toBe(3);
    expect(other.stderr).toContain('signs weights.bin');
  });

  test.each([
    [['--ignore', 'nosuch']],
    [['--ignore', '../keys']],
    [['--shard-size', '3']],
    [['--method', 'shards', '--shard-size', '0']],
    [['--method', 'shards', '--shard-size', '1e3']],
    [['--method', 'tar']],
    [['--no-signature']],
  ])('wrong usage: %j', async (options) => {
    expect((await quickly(['sign', model, '--key', key, ...options])).code).toBe(2);
    await expect(stat(scratch.path('model/model.sig'))).rejects.toThrow('ENOENT');
  });

  test('to sign a key along with the model', async () => {
    await scratch.write({ 'model/publisher.key.pem': await readFile(key) });
    const { code, stderr } = await quickly(['sign', model, '--key', scratch.path('model/publisher.key.pem')]);
    expect(code).toBe(2);
    expect(stderr).toContain('would be shipped with it');
  });
});

test('verifying needs to be told whom to trust, one way and not two', async () => {
  await sign();
  expect((await quickly(['verify', model])).code).toBe(2);
  expect((await quickly(['verify', model, '--key', pub, '--certificate-chain', pub])).code).toBe(2);
  const { code, stderr } = await touchstone(['verify', model, '--certificate-chain', pub]);
  expect(code).toBe(3);
  expect(stderr).toContain('X.509');
});

test.each(['p256', 'p384'])('openssl verifies the signature of model.sig (%s)', async (curve) => {
  await quickly(['keygen', '--out', scratch.path('keys'), '--name', curve, '--curve', curve]);
  await quickly(['sign', model, '--key', scratch.path(`keys/${curve}.key.pem`)]);
  const { dsseEnvelope: envelope } = JSON.parse(await readFile(scratch.path('model/model.sig'), 'utf8')) as {
    dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
  };
  await scratch.write({
    message: pae(envelope.payloadType, Buffer.from(envelope.payload, 'base64')),
    sig: Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'),
  });
  const hash = curve === 'p256' ? '-sha256' : '-sha384';
  const args = ['dgst', hash, '-verify', `keys/${curve}.pub.pem`, '-signature', 'sig', 'message'];
  expect(execFileSync('openssl', args, { cwd: scratch.dir, encoding: 'utf8' })).toBe('Verified OK\n');
});
