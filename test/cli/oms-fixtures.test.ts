// The reference tool's own signed models (../shared/data): verified as they are, refused after any change.
import { existsSync } from 'node:fs';
import { cp, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quickly, quicklyJson, Scratch, touchstone } from '../support/binary.ts';

const DATA = fileURLToPath(new URL('../../../shared/data/oms/', import.meta.url));
const HERE = existsSync(DATA);
const key = `${DATA}keys/signing-key-pub.pem`;
const [root, middle] = [`${DATA}keys/ca-cert.pem`, `${DATA}keys/int-ca-cert.pem`];

let scratch: Scratch;

beforeEach(async () => {
  scratch = await Scratch.make();
});

afterEach(async () => scratch[Symbol.asyncDispose]());

async function rulesOf(args: readonly string[]): Promise<{ code: number | null; rules: string[] }> {
  const { code, document } = await quicklyJson(args);
  return { code, rules: (document as { findings: { rule: string }[] }).findings.map(({ rule }) => rule) };
}

describe.skipIf(!HERE)('with ../shared/data', () => {
  test('a model signed with a key verifies (../shared/data)', async () => {
    const { code, stdout, stderr } = await touchstone(['verify', `${DATA}v1.1.0-elliptic-key`, '--key', key]);
    expect(code).toBe(0);
    expect(stdout).toContain('as signed, 2 files');
    // The signer left a file out: said, because anybody may have changed it.
    expect(stderr).toContain('ignore-me');
  });

  test.each(['signme-1', 'signme-2', 'model.sig'])(
    'any changed byte of %s is refused (../shared/data)',
    async (name) => {
      const model = scratch.path('model');
      await cp(`${DATA}v1.1.0-elliptic-key`, model, { recursive: true });
      const good = await readFile(`${model}/${name}`);
      // Every byte of a small file; of the signature file every seventh, in another place for each of its parts.
      for (let at = 0; at < good.length; at += good.length > 100 ? 7 : 1) {
        const bent = Buffer.from(good);
        bent[at] = (bent[at] ?? 0) ^ 0x01;
        await writeFile(`${model}/${name}`, bent);
        const { code } = await quickly(['verify', model, '--key', key]);
        expect({ at, code }).toEqual({ at, code: 1 });
      }
      await writeFile(`${model}/${name}`, good);
      expect((await quickly(['verify', model, '--key', key])).code).toBe(0);
      expect((await stat(`${model}/${name}`)).size).toBe(good.length);
    },
  );

  test('a model signed with a certificate verifies by its root, whose intermediate came along (../shared/data)', async () => {
    const model = `${DATA}v1.1.0-certificate`;
    expect((await touchstone(['verify', model, '--certificate-chain', root])).code).toBe(0);
    const { code, document } = await quicklyJson(['verify', model, '--certificate-chain', root, middle]);
    expect(code).toBe(0);
    // Leaf and intermediate have one name in this fixture: names along the chain mean nothing.
    expect(document).toMatchObject({
      method: 'certificate',
      signer: {
        certificates: [{ subject: 'CN=intermediate-ca' }, { subject: 'CN=intermediate-ca' }, { subject: 'CN=root-ca' }],
      },
    });
  });

  test.each([
    ['the intermediate alone', [middle], 'release-certificate-chain'],
    ['the certificate of the signer', [`${DATA}keys/signing-key-cert.pem`], 'release-certificate-chain'],
  ])('and is refused with only %s for a root (../shared/data)', async (_title, given, rule) => {
    const judged = await rulesOf(['verify', `${DATA}v1.1.0-certificate`, '--certificate-chain', ...given]);
    expect(judged).toEqual({ code: 1, rules: [rule] });
  });

  test.each([
    ['v1.1.0-certificate', ['--key', key]],
    ['v1.1.0-sigstore', ['--key', key]],
    ['v1.1.0-sigstore', ['--certificate-chain', root]],
    ['v1.1.0-elliptic-key', ['--certificate-chain', root]],
  ])('%s is refused for its method by %j (../shared/data)', async (name, trust) => {
    expect(await rulesOf(['verify', `${DATA}${name}`, ...trust])).toEqual({
      code: 1,
      rules: ['release-signing-method'],
    });
  });

  test('a file that the signer did not name is refused, unless the caller says so (../shared/data)', async () => {
    const model = scratch.path('model');
    await cp(`${DATA}v1.1.0-elliptic-key`, model, { recursive: true });
    await writeFile(`${model}/__init__.py`, '');
    expect(await rulesOf(['verify', model, '--key', key])).toEqual({ code: 1, rules: ['release-file-surplus'] });
    expect((await quickly(['verify', model, '--key', key, '--ignore-unsigned-files'])).code).toBe(0);
  });
});
