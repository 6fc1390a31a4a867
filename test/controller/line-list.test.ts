// What a factory line reads of its TPMs: every form is read, every fault named with its file and line, and no bad certificate passes.
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { toHex } from '../../src/bytes/text.ts';
import type { OperatorsEkTrust } from '../../src/controller/ek-trust.ts';
import { checkLine } from '../../src/controller/line-check.ts';
import type { LineTerms } from '../../src/controller/line-check.ts';
import { readLineList } from '../../src/controller/line-list.ts';
import type { LineEntry, LineList } from '../../src/controller/line-list.ts';
import { readCrlFile } from '../../src/crypto/crl.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { X509Certificate } from 'node:crypto';
import { objectName } from '../../src/tpm/wire/names.ts';
import { publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { Issuer } from '../support/make-ek-certificate.ts';
import { opensslCrl } from '../support/openssl-crl.ts';

const NOW = Date.UTC(2026, 6, 1);
const DAY = 86_400_000;
const vendor = new Issuer('vendor');
const middle = new Issuer('vendor line 4', vendor);
const emulators = new Issuer('emulators');

interface Tpm {
  readonly area: Buffer;
  readonly ek: TpmtPublic;
  readonly certificate: Buffer;
}
/** At the line: with what its TPM holds beside it. */
type Read = Pick<LineEntry, 'ek' | 'certificate'> & Partial<LineEntry>;

async function tpm(issuer: Issuer = vendor, change: Parameters<Issuer['issue']>[0] | object = {}): Promise<Tpm> {
  const area = Buffer.from((await new FakeTpm().identity()).ekPublic);
  const ek = decode(TpmtPublic, area);
  return { area, ek, certificate: issuer.issue({ publicKey: publicKeyOf(ek), ...change }) };
}

const sample = await tpm();
const pemOf = (der: Buffer): string => new X509Certificate(der).toString();
const info = ({ area, certificate }: Tpm, more: object = {}): object => ({
  manufacturer: 'IFX',
  endorsementKey: { template: 'L-2', certified: true, name: 'x', public: toHex(area) },
  certificates: [
    { template: 'L-1', pem: null },
    { template: 'L-2', pem: pemOf(certificate) },
  ],
  ...more,
});
const read = (value: unknown, serial: string | null = 'cam-1'): LineList =>
  readLineList(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value, null, 1)), serial);
const size = (n: number): Buffer => Buffer.from([n >> 8, n & 0xff]);

describe('a line’s file', () => {
  test('is what tpm info says of one TPM, named by its file, or of several', async () => {
    const [one, two] = [await tpm(), await tpm(middle)];
    const chain = [middle.certificate.raw];
    expect(read(info(one))).toEqual({
      faults: [],
      entries: [{ line: 1, serial: 'cam-1', ek: one.ek, certificate: one.certificate, chain: [] }],
    });
    const several = read([info(one), info(two, { serial: 'cam-2', chain: chain.map(pemOf) })], null);
    expect(several.faults).toEqual([]);
    expect(several.entries.map(({ serial, chain: found }) => [serial, found.length])).toEqual([
      [null, 0],
      ['cam-2', 1],
    ]);
    const [, second] = several.entries;
    expect([second?.chain[0]?.equals(chain[0] ?? Buffer.alloc(0)), (second?.line ?? 0) > 2]).toEqual([true, true]);
  });

  test('is a table with bytes in hex or base64, as TPMT_PUBLIC or TPM2B_PUBLIC', async () => {
    const { area, ek, certificate } = await tpm();
    const sized = Buffer.concat([size(area.length), area]);
    const lines = [
      'note,serial,ek_public,certificate,chain',
      `x,"A, 1",${toHex(area)},${certificate.toString('base64')},`,
      `,,${sized.toString('base64')},,${toHex(middle.certificate.raw)} ${vendor.certificate.raw.toString('base64')}`,
    ];
    const { entries, faults } = read(lines.join('\r\n'));
    expect(faults).toEqual([]);
    expect(entries).toEqual([
      { line: 2, serial: 'A, 1', ek, certificate, chain: [] },
      { line: 3, serial: null, ek, certificate: null, chain: [middle.certificate.raw, vendor.certificate.raw] },
    ]);
  });

  test('names each fault with its line, and reads the rest', async () => {
    const good = toHex((await tpm()).area);
    const rows = [`a,${good},`, 'b,zz,', `c,${good.slice(2)},`, `${'d'.repeat(65)},${good},`, `e,${good},`];
    const { entries, faults } = read(['serial,ek_public,certificate', ...rows].join('\n'));
    expect(entries.map(({ serial }) => serial)).toEqual(['a', 'e']);
    expect(faults.map(({ line }) => line)).toEqual([3, 4, 5]);
  });

  test.each<[string, unknown, number, string]>([
    ['that was cut in the middle', '{\n"endorsementKey": {\n"public": "00', 3, ''],
    [
      'of a TPM without a key',
      { endorsementKey: { refused: 'TPM_RC_HIERARCHY' }, certificates: [] },
      1,
      'TPM_RC_HIERARCHY',
    ],
    ['of an older tpm info', { endorsementKey: { template: 'L-2' }, certificates: [] }, 2, 'endorsementKey'],
    ['with a damaged certificate', info(sample, { certificates: [{ template: 'L-2', pem: 'x' }] }), 1, 'certificate'],
    ['that is another table', 'a;b\n1;2', 1, 'ek_public'],
    ['that is empty', '', 1, 'ek_public'],
  ])('%s is refused on its line', (_, text, line, says) => {
    const { entries, faults } = read(text);
    expect(entries).toEqual([]);
    expect([faults[0]?.line, faults[0]?.message]).toEqual([line, expect.stringContaining(says)]);
  });
});

const trust: OperatorsEkTrust = {
  hardware: [vendor.certificate],
  software: [emulators.certificate],
  intermediates: [],
  crls: [],
};
const terms: LineTerms = { trust, now: NOW, uncertified: false, crlsDemanded: false };
const revoking = (issuer: Issuer, ...serials: string[]): OperatorsEkTrust['crls'] => {
  const key = { key: issuer.key, pem: issuer.certificate.toString() };
  return readCrlFile(opensslCrl(key, { revoked: serials, from: NOW - DAY, until: NOW + DAY }));
};

function check(tpms: readonly Read[], change: Partial<LineTerms> = {}): ReturnType<typeof checkLine> {
  const entries = tpms.map((one, at) => ({ line: at + 1, serial: `s${at + 1}`, chain: [], file: 'line.csv', ...one }));
  return checkLine(entries, { ...terms, ...change });
}
const faultsOf = (result: ReturnType<typeof checkLine>): unknown =>
  result.faults.map(({ line, message }) => [line, message]);

describe('at the line', () => {
  test('a certificate that a vendor stands by passes, with its intermediate from the TPM, and is written down', async () => {
    const [one, two] = [await tpm(), await tpm(middle)];
    const { entries, faults } = check([one, { ...two, chain: [Buffer.from(middle.certificate.raw)] }]);
    expect(faults).toEqual([]);
    expect(entries).toEqual(
      [one, two].map(({ ek, certificate }, at) => ({
        ekName: toHex(objectName(ek)),
        certificate: toHex(sha256(certificate)),
        serial: `s${at + 1}`,
      })),
    );
  });

  test('no other passes unless it was asked for, and then without a certificate', async () => {
    const [one, other] = [await tpm(), await tpm()];
    const bad: [Read, RegExp][] = [
      [{ ...one, certificate: other.certificate }, /for another key/],
      [await tpm(emulators), /no chain to a trusted root/],
      [await tpm(middle), /no chain to a trusted root/],
      [await tpm(vendor, { notAfter: NOW - DAY }), /outside its validity/],
      [await tpm(vendor, { tpm: ['id:00001014', 'swtpm', 'id:1'] }), /software TPM/],
      [{ ...(await tpm()), certificate: null }, /no EK certificate/],
    ];
    const tpms = bad.map(([one_]) => one_);
    expect(faultsOf(check(tpms))).toEqual(bad.map(([, says], at) => [at + 1, expect.stringMatching(says)]));
    const taken = check(tpms, { uncertified: true });
    expect(taken.faults).toEqual([]);
    expect(taken.entries.map(({ certificate }) => certificate)).toEqual(bad.map(() => null));
  });

  test('a revoked certificate never passes, and one that no list answers for does not where lists are demanded', async () => {
    const one = await tpm();
    const revoked = { ...trust, crls: revoking(vendor, '01') };
    for (const uncertified of [false, true]) {
      expect(faultsOf(check([one], { trust: revoked, uncertified }))).toEqual([
        [1, expect.stringContaining('revoked')],
      ]);
    }
    expect(faultsOf(check([one], { crlsDemanded: true }))).toEqual([
      [1, expect.stringContaining('no revocation list')],
    ]);
    expect(check([one], { crlsDemanded: true, trust: { ...trust, crls: revoking(vendor, '02') } }).faults).toEqual([]);
  });

  test('one TPM that was read twice is named at both places', async () => {
    const one = await tpm();
    expect(faultsOf(check([one, await tpm(), one]))).toEqual([[3, expect.stringContaining('line.csv, line 1')]]);
  });

  test('a key that is none is a fault of its line, and ends nothing', async () => {
    const one = await tpm();
    const area =
      one.ek.area.type === 'ecc' ? { ...one.ek.area, x: Buffer.alloc(32), y: Buffer.alloc(32) } : one.ek.area;
    const { entries, faults } = check([
      { ...one, ek: { ...one.ek, area } },
      { ...one, ek: { ...one.ek, nameAlg: 0x99 } },
    ]);
    expect([entries, faults.map(({ line }) => line)]).toEqual([[], [1, 2]]);
  });
});
