// Whatever bytes come as a release, the answer is findings: never an exception, and never a release that nobody signed.
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toUtf8 } from '../../src/bytes/text.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { readBundle } from '../../src/release/oms-bundle.ts';
import { readStatement } from '../../src/release/oms-statement.ts';
import { openRelease } from '../../src/release/open.ts';
import type { OpenedRelease } from '../../src/release/open.ts';
import { encodePassport, readPassport } from '../../src/release/passport.ts';
import { judgeRoot } from '../../src/release/root.ts';
import { RELEASE_RULES } from '../../src/rules/release-rules.ts';
import {
  bundleOf,
  fleetFile,
  handStatement,
  jsonBytes,
  makeRelease,
  other,
  publisher,
  rootStatement,
  signPassport,
  stranger,
} from './publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'hostile-'));
const made = await makeRelease(join(root, 'r'), pool);
const sig = readFileSync(join(made.folder, 'model.sig'));
const passport = readFileSync(join(made.folder, 'passport.json'));
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const { publishers, revoked } = rootStatement;
const open = (files: { sig: Uint8Array | null; passport: Uint8Array | null }): OpenedRelease =>
  openRelease({ ...files, publishers, revoked, releaseThresholds: undefined });

/** Opens it, whatever it is; what is not opened has findings by known rules, short enough to be shown. */
function isJudged(files: { sig: Uint8Array | null; passport: Uint8Array | null }): boolean {
  const opened = open(files);
  if (opened.ok) return opened.release.id === made.id;
  expect(opened.findings.length).toBeGreaterThan(0);
  for (const { rule, expected, found } of opened.findings) {
    expect(Object.keys(RELEASE_RULES)).toContain(rule);
    expect(Math.max(expected.length, found.length)).toBeLessThanOrEqual(200);
  }
  return true;
}

/** JSON with names that parsers trip over among the real ones. */
const names = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'payload',
    'signatures',
    'predicate',
    'resources',
    'v',
    'crit',
    'toString',
  ),
  fc.string({ maxLength: 8 }),
);
const { value: anyJson } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, -1, 1.5, 1e300, '', '../x', '\u0000', '\\', '/etc', 'a'.repeat(300)),
    fc.string({ maxLength: 12 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(names, tie('value')), { maxLength: 4 }).map((all) => Object.fromEntries(all) as unknown),
  ),
}));

/** One byte changed, taken out or put in. */
const mutation = (bytes: Uint8Array): fc.Arbitrary<Buffer> =>
  fc
    .tuple(fc.integer({ min: 0, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2))
    .map(([at, byte, how]) =>
      Buffer.concat([
        bytes.subarray(0, at),
        how === 1 ? Buffer.alloc(0) : Buffer.from([byte]),
        bytes.subarray(how === 2 ? at : at + 1),
      ]),
    );

test('a good release is opened', () => {
  expect(open({ sig, passport })).toMatchObject({ ok: true, release: { id: made.id } });
});

test('any bytes as either file are judged', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(isJudged({ sig: bytes, passport })).toBe(true);
      expect(isJudged({ sig, passport: bytes })).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('any JSON as either file is judged, and as payload of a good signature as well', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      const bytes = jsonBytes(value);
      expect(isJudged({ sig: bytes, passport })).toBe(true);
      expect(isJudged({ sig, passport: bytes })).toBe(true);
      expect(isJudged({ sig: bundleOf(bytes), passport })).toBe(true);
      for (const read of [readStatement(bytes), readPassport(bytes)]) expect('faults' in read).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('a good file with any byte changed, taken out or put in is opened as what was signed or not at all', () => {
  fc.assert(
    fc.property(mutation(sig), mutation(passport), (badSig, badPassport) => {
      expect(isJudged({ sig: badSig, passport })).toBe(true);
      expect(isJudged({ sig, passport: badPassport })).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test('a statement with any byte changed, signed all the same, is judged', () => {
  fc.assert(
    fc.property(mutation(handStatement()), mutation(encodePassport(made.passport)), (statement, text) => {
      const read = readStatement(statement);
      expect('faults' in read ? read.faults.length > 0 : read.statement.payload.equals(statement)).toBe(true);
      expect(readPassport(text)).toBeDefined();
    }),
    { numRuns: 150 },
  );
});

test('any bytes and any JSON as a root statement are judged', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), anyJson, (bytes, value) => {
      for (const one of [bytes, jsonBytes(value)]) expect(judgeRoot(fleetFile, one, 0).ok).toBe(false);
    }),
    { numRuns: 100 },
  );
});

describe('hostile bundles', () => {
  const bundle = JSON.parse(sig.toString()) as Record<string, Record<string, unknown>>;
  const bend = (key: string, change: Record<string, unknown>): Buffer =>
    jsonBytes({ ...bundle, [key]: { ...bundle[key], ...change } });
  const cases: Readonly<Record<string, Buffer>> = {
    'no kind of verification material': bend('verificationMaterial', { publicKey: undefined }),
    'two kinds of verification material': bend('verificationMaterial', { certificate: { rawBytes: 'AAAA' } }),
    'two signatures': bend('dsseEnvelope', { signatures: [{ sig: 'AAAA' }, { sig: 'AAAA' }] }),
    'no signature': bend('dsseEnvelope', { signatures: [] }),
    'another payload type': bend('dsseEnvelope', { payloadType: 'text/plain' }),
    'base64 with something after it': bend('dsseEnvelope', {
      payload: `${String(bundle['dsseEnvelope']?.['payload'])}\n`,
    }),
    base64url: bend('dsseEnvelope', { payload: '-_-_' }),
    'an unknown field': jsonBytes({ ...bundle, more: 1 }),
    'another media type': jsonBytes({ ...bundle, mediaType: 'application/vnd.dev.sigstore.bundle.v0.2+json' }),
    'a key twice': toUtf8(sig.toString().replace('{"mediaType"', '{"mediaType":"x","mediaType"')),
    'a certificate that is no base64': bend('verificationMaterial', {
      publicKey: undefined,
      x509CertificateChain: { certificates: [{ rawBytes: '*' }] },
    }),
    'nine certificates': bend('verificationMaterial', {
      publicKey: undefined,
      x509CertificateChain: { certificates: Array.from({ length: 9 }, () => ({ rawBytes: 'AAAA' })) },
    }),
    'a depth of a thousand': toUtf8('['.repeat(1000) + ']'.repeat(1000)),
  };
  test.each(Object.entries(cases))('%s is malformed', (_, bytes) => {
    const read = readBundle(bytes);
    expect('faults' in read && read.faults.map((fault) => fault.rule)).toEqual(['release-malformed']);
  });

  test('more than anybody would send is not read', () => {
    const read = readBundle(Buffer.alloc(96 * 1024 * 1024 + 1, 0x20));
    expect('faults' in read && read.faults[0]?.found).toContain('at most');
  });

  test('the kinds of the standard are told apart', () => {
    const kind = (material: Record<string, unknown>): unknown => {
      const read = readBundle(jsonBytes({ ...bundle, verificationMaterial: material }));
      return 'bundle' in read ? read.bundle.signing : read.faults;
    };
    expect(kind({ publicKey: {} })).toEqual({ method: 'key', hint: null });
    expect(kind({ certificate: { rawBytes: 'AAAA' }, tlogEntries: [{}] })).toEqual({ method: 'sigstore' });
    expect(kind({ x509CertificateChain: { certificates: [{ rawBytes: 'AAAA' }] } })).toMatchObject({
      method: 'certificate',
      chain: [Buffer.alloc(3)],
    });
  });
});

describe('who signed', () => {
  test('a key without a name, and a signature of the publisher among strangers’, count', () => {
    const bundle = JSON.parse(sig.toString()) as { verificationMaterial: unknown };
    const unnamed = jsonBytes({ ...bundle, verificationMaterial: { publicKey: {} } });
    expect(open({ sig: unnamed, passport }).ok).toBe(true);
    const many = signPassport(made.passport, [stranger, other, publisher]);
    const opened = open({ sig, passport: many.bytes });
    expect(opened.ok && opened.release.signedBy).toBe(publishers[0]?.id);
  });

  test('a signature that names another publisher is not taken for that one', () => {
    const forged = bundleOf(handStatement(), stranger).toString();
    const hint = /"hint":"([0-9a-f]+)"/.exec(sig.toString())?.[1] ?? '';
    const named = toUtf8(forged.replace(/"hint":"[0-9a-f]+"/, `"hint":"${hint}"`));
    const opened = open({ sig: named, passport });
    expect(!opened.ok && opened.findings.map((one) => one.rule)).toEqual(['release-signature']);
  });

  test('a passport without any key name is a stranger’s, not a forgery', () => {
    const envelope = JSON.parse(passport.toString()) as { signatures: { sig: string }[] };
    const bare = jsonBytes({ ...envelope, signatures: [{ sig: 'AAAA' }] });
    const opened = open({ sig, passport: bare });
    expect(!opened.ok && opened.findings.map((one) => [one.rule, one.found])).toEqual([
      ['release-signer', 'key unnamed'],
    ]);
  });
});
