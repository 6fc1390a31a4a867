// Keys asked on other threads: the answers of node:crypto, each to who asked, also when a thread forgets keys, or is gone.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { doTasks, packTasks, unpackAnswers } from '../../src/crypto/key-batch.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { KeyThreads } from '../../src/crypto/key-threads.ts';

const pair = generateKey('p256');
const data = Buffer.from('what is signed');
const signature = sign('sha256', data, pair.privateKey);

test('a signature is valid over its own bytes, by its own key and digest, and nothing else', async () => {
  await using keys = new KeyThreads();
  const other = generateKey('p256').publicKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const asked: [KeyObject, string, Buffer, Buffer][] = [
    [pair.publicKey, 'sha256', data, signature],
    [other, 'sha256', data, signature],
    [pair.publicKey, 'sha384', data, signature],
    [pair.publicKey, 'sha256', Buffer.from('other bytes'), signature],
    [pair.publicKey, 'sha256', data, Buffer.alloc(70)],
    [pair.publicKey, 'sha256', data, Buffer.alloc(0)],
    [rsa.publicKey, 'sha256', data, signature],
    [rsa.publicKey, 'sha256', data, sign('sha256', data, rsa.privateKey)],
  ];
  const answers = await Promise.all(asked.map(async (question) => keys.verify(...question)));
  expect(answers).toEqual([true, false, false, false, false, false, false, true]);
});

test.each(['p256', 'p384', 'p521'] as const)('what a key on %s signs is valid', async (curve) => {
  await using keys = new KeyThreads();
  const { privateKey, publicKey } = generateKey(curve);
  const made = await keys.sign(privateKey, data);
  const digest = { p256: 'sha256', p384: 'sha384', p521: 'sha512' }[curve];
  expect(verify(digest, data, publicKey, made)).toBe(true);
});

test('a public key signs nothing, and says so', async () => {
  await using keys = new KeyThreads();
  await expect(keys.sign(pair.publicKey, data)).rejects.toThrow(TypeError);
});

test.each([1, 3])(
  'hundreds at once, by %i threads that remember two keys, are answered each to who asked',
  async (threads) => {
    await using keys = new KeyThreads({ threads, maxKeys: 2 });
    const pairs = Array.from({ length: 5 }, () => generateKey('p256'));
    await Promise.all(
      Array.from({ length: 700 }, async (_, i) => {
        const { privateKey, publicKey } = pairs[i % pairs.length] ?? pair;
        const message = Buffer.from(`message ${i}`);
        const made = await keys.sign(privateKey, message);
        expect(verify('sha256', message, publicKey, made)).toBe(true);
        expect(await keys.verify(publicKey, 'sha256', message, made)).toBe(true);
        expect(await keys.verify((pairs[(i + 1) % pairs.length] ?? pair).publicKey, 'sha256', message, made)).toBe(
          false,
        );
      }),
    );
  },
);

test('who waits for a thread that ends is told', async () => {
  const keys = new KeyThreads({ threads: 1 });
  const waiting = keys.verify(pair.publicKey, 'sha256', data, signature).catch(String);
  // Given to the thread, which is ended before it has even begun to run.
  await new Promise((resolve) => setImmediate(resolve));
  await keys[Symbol.asyncDispose]();
  expect(await waiting).toContain('ended');
});

test('what can not be sent to a thread fails for who asked, and for nobody after', async () => {
  await using keys = new KeyThreads({ threads: 1 });
  const odd = new Proxy(pair.publicKey, {});
  await expect(keys.verify(odd, 'sha256', data, signature)).rejects.toThrow(TypeError);
  await expect(keys.verify(pair.publicKey, 'md4', data, signature)).rejects.toThrow(TypeError);
  expect(await keys.verify(pair.publicKey, 'sha256', data, signature)).toBe(true);
});

test('an idle thread keeps no process alive', () => {
  const program = `
    import { generateKeyPairSync, sign } from 'node:crypto';
    import { KeyThreads } from ${JSON.stringify(new URL('../../src/crypto/key-threads.ts', import.meta.url).href)};
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const data = Buffer.from('x');
    console.log(await new KeyThreads().verify(publicKey, 'sha256', data, sign('sha256', data, privateKey)));`;
  const dir = mkdtempSync(join(tmpdir(), 'keys-'));
  onTestFinished(() => {
    rmSync(dir, { recursive: true });
  });
  writeFileSync(join(dir, 'program.mjs'), program);
  const said = execFileSync(process.execPath, [join(dir, 'program.mjs')], { encoding: 'utf8', timeout: 60_000 });
  expect(said).toBe('true\n');
});

test('tasks of any size come out of a batch in their order', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), (messages) => {
      const tasks = messages.flatMap((message) => [
        { key: 0, digest: 'sha256', data: message, signature: null },
        { key: 1, digest: 'sha256', data: message, signature: sign('sha256', message, pair.privateKey) },
      ]);
      const known = new Map([
        [0, pair.privateKey],
        [1, pair.publicKey],
      ]);
      const answers = unpackAnswers(doTasks(packTasks(tasks), known));
      expect(answers).toHaveLength(tasks.length);
      for (const [i, message] of messages.entries()) {
        expect(verify('sha256', message, pair.publicKey, answers[2 * i] ?? data)).toBe(true);
        expect(answers[2 * i + 1]).toEqual(Buffer.from([1]));
      }
    }),
    { numRuns: 30 },
  );
});
