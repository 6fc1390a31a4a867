// `touchstone evidence inspect`: explains every part of an evidence message, believes none of it, and is not fooled by hostile files.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import { readEvidenceFile } from '../../src/cli/evidence-document.ts';
import { evidenceText } from '../../src/cli/evidence-text.ts';
import { runProgram } from '../../src/cli/program.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { arbitraryMutation } from '../support/arbitrary-messages.ts';
import { mutated, outcomeOf } from '../support/wire-outcome.ts';
import { withClaims, laterRow } from '../verifier/attack.ts';
import { build, digestOf, genuineEvents, session, slotEvent } from '../verifier/evidence-builder.ts';
import type { NvFields } from '../verifier/attest-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';

let folder = '';
let stdout = '';
let stderr = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evidence-'));
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((stderr += String(text)), true));
});

afterEach(async () => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function fileOf(name: string, bytes: Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, bytes);
  return file;
}

async function inspect(bytes: Uint8Array, ...more: string[]): Promise<number | string> {
  return runProgram(['evidence', 'inspect', await fileOf('evidence', bytes), ...more]);
}

interface Printed {
  readonly verified: boolean;
  readonly faults: readonly string[];
  readonly evidence: {
    readonly agreement: Record<string, boolean | null>;
    readonly challenge: { readonly says: Record<string, unknown> };
    readonly claims: { readonly says: Record<string, unknown> };
    readonly log: { readonly records: readonly { readonly digestFits: boolean }[] | null; readonly parts: number };
    readonly quote: Record<string, unknown>;
    readonly floors: Record<string, unknown> | null;
    readonly signature: Record<string, unknown>;
  } | null;
}

async function printed(bytes: Uint8Array, ...more: string[]): Promise<Printed> {
  await inspect(bytes, '--json', ...more);
  return JSON.parse(stdout) as Printed;
}

/** Evidence whose log went before it in parts. */
function inParts(bend: Bend = {}): { readonly input: AppraisalInput; readonly log: Buffer } {
  let kept = Buffer.alloc(0);
  const input = build({
    ...bend,
    message: (message) => {
      kept = Buffer.from(message['log'] as Uint8Array);
      return { ...message, log: { digest: sha256(kept), length: kept.length, parts: 1 } };
    },
  });
  return { input, log: kept };
}

const report = { session, n: 7, kind: 'tpm', rule: 'TPM_TIMEOUT', slot: null, subject: null, at: 1 } as const;

describe('an evidence message', () => {
  test('is explained part by part, and said to be not verified', async () => {
    expect(await inspect(build().evidence)).toBe(0);
    expect(stdout).toContain('not verified');
    for (const part of ['Challenge', 'Claims', 'Log', 'Quote', 'Signature', 'What holds it together']) {
      expect(stdout).toContain(`\n${part}`);
    }
    expect(stdout).toMatch(/1 {2}PCR 15 .*boot of abcdefghijklmnopqrstuvwxyz234567: first/);
    expect(stdout).toMatch(/2 {2}PCR 15 .*agent start/);
    expect(stdout).toMatch(/3 {2}PCR 15 .*slot main measured: release .*, no differing file/);
    expect(stdout).toContain('0, 7, 15 of sha256');
    expect(stdout).toMatch(/PCR 7 +[0-9a-f]{64}/);
    expect(stdout).toMatch(/the quote binds these three +yes/);
    expect(stdout).toMatch(/log and claims give the PCR digest +yes/);
  });

  test('is one JSON document with --json', async () => {
    const { verified, faults, evidence } = await printed(build().evidence);
    expect({ verified, faults }).toEqual({ verified: false, faults: [] });
    expect(evidence?.challenge.says).toMatchObject({ generation: 3, kid: 'k1', pcrs: [0, 7, 15] });
    expect(evidence?.quote).toMatchObject({ type: 'quote', madeByTpm: true, clock: '500000', resetCount: 4 });
    expect(evidence?.signature).toMatchObject({ scheme: 'ECDSA', hash: 'sha256' });
    expect(evidence?.log.records).toHaveLength(3);
    expect(evidence?.agreement).toEqual({ quoteBindsMessage: true, partsFitMessage: null, logExplainsQuote: true });
  });

  test('shows reports, differing files and foreign extensions', async () => {
    const changed = { path: 'a.onnx', expected: digestOf('a'), found: null };
    const events = [
      ...genuineEvents,
      { ...slotEvent, cause: 'changed', release: null, differing: [changed], more: 2 } as const,
      { v: 1, type: 'foreign-extension', expected: digestOf('a'), found: digestOf('b') } as const,
    ];
    await inspect(
      build({ events, claims: withClaims({ lastSeq: 4, reports: [{ ...report, detail: 'slow' }] }) }).evidence,
    );
    expect(stdout).toMatch(/\/7 +tpm +TPM_TIMEOUT +- +slow/);
    expect(stdout).toMatch(/no release, manifest .*differing files: 3\n +a\.onnx: expected ca978112ca1b…, found none/);
    expect(stdout).toContain('somebody else extended the PCR');
    expect(stdout).toContain('up to 4 in this session');
  });

  test('shows the version floors that its TPM certifies, and for which challenge', async () => {
    const claims = withClaims({ floors: [{ slot: 'main', floor: 7 }] });
    const { evidence, faults } = await printed(build({ claims }).evidence);
    expect(faults).toEqual([]);
    const floors = ['7', '0', '0', '0', '0', '0', '0', '0'];
    expect(evidence?.floors).toMatchObject({ type: 'NV index', forThisChallenge: true, offset: 0, floors });
    stdout = '';
    const certificate = (fields: NvFields): NvFields => ({ ...fields, extraData: digestOf('yesterday') });
    await inspect(build({ claims, certificate }).evidence);
    expect(stdout).toMatch(/floor +7 of slot main/);
    expect(stdout).toMatch(/Certificate of the version floors.*\n +kind +NV index/);
    expect(stdout).toMatch(/made for this challenge +NO/);
    expect(stdout).toMatch(/floors +7, 0, 0, 0, 0, 0, 0, 0 from byte 0/);
  });

  test('says which part of it is no certificate of floors', async () => {
    const claims = withClaims({ floors: [{ slot: 'main', floor: 7 }] });
    const input = build({ claims, certificateBytes: (one) => ({ ...one, attest: Buffer.alloc(3) }) });
    expect(await inspect(input.evidence)).toBe(1);
    expect(stdout).toMatch(/Certificate of the version floors.*\n +malformed +/);
  });

  test('whose log goes on from an earlier one cannot be replayed alone', async () => {
    const bend: Bend = {
      row: laterRow(),
      firstRecord: 4,
      startPcr: laterRow().log?.pcr ?? Buffer.alloc(0),
      events: [],
    };
    await inspect(build(bend).evidence);
    expect(stdout).toContain('records after 3 in reset 4, restart 0');
    expect(stdout).toContain('none new');
    expect(stdout).toContain('no records');
    expect(stdout).toMatch(/boot PCR 1 +[0-9a-f]{64}/);
    expect(stdout).toMatch(/log and claims give the PCR digest +cannot be told/);
  });

  test('names no records when the parts of its log are not at hand', async () => {
    const { input } = inParts();
    expect(await inspect(input.evidence)).toBe(0);
    expect(stdout).toContain('sent before the message in 1 parts');
    expect(stdout).toContain('not at hand');
  });

  test('is explained with its log when the joined parts are given', async () => {
    const { input, log } = inParts();
    const { evidence } = await printed(input.evidence, '--log', await fileOf('log', log));
    expect(evidence?.log).toMatchObject({ parts: 1 });
    expect(evidence?.log.records).toHaveLength(3);
    expect(evidence?.agreement).toEqual({ quoteBindsMessage: true, partsFitMessage: true, logExplainsQuote: true });
  });

  test('shows that joined parts are of another log', async () => {
    const other = Buffer.from([0x80]);
    await inspect(inParts().input.evidence, '--log', await fileOf('log', other));
    expect(stdout).toMatch(/the parts are the log named +NO/);
    expect(stdout).toMatch(/the quote binds these three +NO/);
  });
});

describe('what does not fit together is shown and not judged', () => {
  test.each<[string, Bend, RegExp]>([
    ['other bound data', { attest: (a) => ({ ...a, extraData: digestOf('x') }) }, /binds these three +NO/],
    ['other PCR values', { pcrValues: () => [digestOf('x')] }, /give the PCR digest +NO/],
    [
      'a digest of other content',
      { records: (r) => r.map((one) => ({ ...one, digest: digestOf('x') })) },
      /DIGEST IS NOT/,
    ],
    ['bytes that no TPM marked', { attest: (a) => ({ ...a, magic: 1 }) }, /not marked as made by a TPM/],
    ['another attestation', { attest: (a) => ({ ...a, type: 0x8017 }) }, /kind +certified object/],
    ['an unknown attestation', { attest: (a) => ({ ...a, type: 0x9999 }) }, /kind +0x9999/],
    ['an unsafe clock', { attest: (a) => ({ ...a, safe: 0 }) }, /perhaps up to 4 s behind/],
    ['too few boot PCRs', { claims: withClaims({ bootPcrs: [] }) }, /give the PCR digest +cannot be told/],
    ['a time beyond the calendar', { claims: withClaims({ now: Number.MAX_SAFE_INTEGER }) }, /9007199254740991 ms/],
    ['a log that begins later', { claims: withClaims({ logFrom: 2 }) }, /give the PCR digest +cannot be told/],
  ])('%s', async (_, bend, line) => {
    expect(await inspect(build(bend).evidence)).toBe(0);
    expect(stdout).toMatch(line);
  });
});

describe('a hostile file', () => {
  test('cannot write escape sequences or turn text around on the terminal', async () => {
    const detail = 'safe‮}gnikcab{';
    await inspect(build({ claims: withClaims({ agentVersion: '1‮2', reports: [{ ...report, detail }] }) }).evidence);
    expect(stdout).toContain('1\\u{202e}2');
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202a-\u202e]/);
  });

  test.each<[string, Bend, string]>([
    ['challenge', { message: (m) => ({ ...m, challenge: Buffer.alloc(64) }) }, 'challenge: '],
    ['claims', { message: (m) => ({ ...m, claims: Buffer.from([0xa0]) }) }, 'claims: '],
    ['log', { message: (m) => ({ ...m, log: Buffer.from([0x81]) }) }, 'log: '],
    ['quote', { message: (m) => ({ ...m, attest: Buffer.alloc(3) }) }, 'quote: '],
    ['signature', { message: (m) => ({ ...m, signature: Buffer.alloc(3) }) }, 'signature: '],
  ])('with a malformed %s ends with 1, names the fault and shows the rest', async (part, bend, fault) => {
    const { evidence } = build(bend);
    expect(await inspect(evidence)).toBe(1);
    expect(stdout.toLowerCase()).toMatch(new RegExp(`\n${part}.*\n {2}malformed `));
    stdout = '';
    const { faults } = await printed(evidence);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });

  test.each<[string, Uint8Array]>([
    ['empty', new Uint8Array()],
    ['text', Buffer.from('hello')],
    ['cut off', build().evidence.subarray(0, -1)],
    ['another message', encodeCbor({ v: 1, deviceId: 'x', online: true, wants: 'nothing' })],
    ['of another version', build({ message: (m) => ({ ...m, v: 2 }) }).evidence],
    ['larger than a message may be', Buffer.alloc(256 * 1024 + 2)],
  ])('that is %s ends with 1', async (_, bytes) => {
    expect(await inspect(bytes)).toBe(1);
    expect(stdout).toContain('not an evidence message');
    stdout = '';
    expect(await printed(bytes)).toMatchObject({ verified: false, evidence: null, faults: [expect.any(String)] });
  });

  test('that is damaged anywhere is explained or refused, and nothing else', () => {
    const { evidence } = build();
    const { input, log } = inParts();
    fc.assert(
      fc.property(arbitraryMutation, arbitraryMutation, (first, second) => {
        const damaged = mutated(mutated(evidence, first), second);
        const text = outcomeOf(() => evidenceText('x', readEvidenceFile(damaged, null)));
        expect(Object.keys(text)).toHaveLength(1);
        const other = mutated(log, first);
        expect(evidenceText('x', readEvidenceFile(input.evidence, other))).toContain('Log');
      }),
      { numRuns: 300 },
    );
  });

  test('without an end is not read to its end', async () => {
    expect(await runProgram(['evidence', 'inspect', '/dev/zero'])).toBe(1);
    expect(await inspect(inParts().input.evidence, '--log', '/dev/zero')).toBe(1);
  });

  test.each(['missing', '.'])('that cannot be read ends with 3: %s', async (name) => {
    expect(await runProgram(['evidence', 'inspect', join(folder, name)])).toBe(3);
    expect(stderr).toContain('cannot read');
  });
});
