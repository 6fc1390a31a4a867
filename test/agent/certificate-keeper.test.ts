// A device renews its broker certificate before it ends, takes only what it asked for, and is never left without a pair that fits.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CertificateKeeper, settleRenewal } from '../../src/agent/certificate-keeper.ts';
import { makeTlsKey } from '../../src/agent/tls-key.ts';
import { issueCertificate, makeAuthority, readRequest } from '../../src/crypto/certificates.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { encodeCertificateMessage } from '../../src/protocol/codec.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';

const ID = 'abcdefghijklmnopqrstuvwxyz234567';
const YEAR = 365 * 86_400_000;
const START = Date.UTC(2026, 0, 1);
const AUTHORITY = { commonName: 'authority', key: generateKey('p256').privateKey };
const OTHER = { commonName: 'authority', key: generateKey('p256').privateKey };
const caPem = makeAuthority(AUTHORITY.commonName, AUTHORITY.key, START, START + 10 * YEAR);

interface Leaf {
  readonly name?: string;
  readonly from?: number;
  readonly years?: number;
  readonly authority?: typeof AUTHORITY;
}

function certificateFor(
  csr: Uint8Array,
  { name = ID, from = START, years = 2, authority = AUTHORITY }: Leaf = {},
): string {
  const { publicKey } = readRequest(csr);
  const leaf = { commonName: name, publicKey, notBefore: from, notAfter: from + years * YEAR, names: [] };
  return issueCertificate({ ...leaf, use: 'client' }, authority);
}

/** A device of two years' certificate, `age` years old. */
async function device(
  age: number,
): Promise<{ journal: MemoryJournal; keeper: CertificateKeeper; lines: string[]; open: () => CertificateKeeper }> {
  const journal = new MemoryJournal();
  const { keyPem, csr } = await makeTlsKey(ID);
  await journal.put('tls-key', Buffer.from(keyPem));
  await journal.put('certificate', Buffer.from(certificateFor(csr)));
  const lines: string[] = [];
  const open = (): CertificateKeeper =>
    new CertificateKeeper({
      journal,
      deviceId: ID,
      caPem,
      log: { write: (_level, _event, message) => lines.push(message) },
      now: () => START + age * YEAR,
      makeTlsKey,
    });
  return { journal, keeper: open(), lines, open };
}

const sealed = (certificate: string): Buffer => encodeCertificateMessage({ v: 1, certificate });

/** Whether key and certificate in the journal are a pair, and until when they count. */
async function pair(journal: MemoryJournal): Promise<{ fits: boolean; until: number }> {
  const [key, certificate] = [await journal.get('tls-key'), await journal.get('certificate')];
  const leaf = new X509Certificate(certificate ?? '');
  return { fits: leaf.checkPrivateKey(createPrivateKey((key ?? '').toString())), until: Date.parse(leaf.validTo) };
}

describe('a device', () => {
  test('asks for nothing while its certificate has time', async () => {
    const { keeper } = await device(1.2);
    expect(await keeper.claims()).toEqual({});
  });

  test('asks in the last third, with the same request until it is answered, over a restart too', async () => {
    const { keeper, open } = await device(1.5);
    const { tlsCsr } = await keeper.claims();
    expect(readRequest(tlsCsr ?? new Uint8Array()).commonName).toBe(ID);
    expect(await keeper.claims()).toEqual({ tlsCsr });
    expect(await open().claims()).toEqual({ tlsCsr });
  });

  test('takes the answer, has a pair that fits, and asks no more', async () => {
    const { keeper, journal } = await device(1.5);
    const { tlsCsr = new Uint8Array() } = await keeper.claims();
    expect(await keeper.take(sealed(certificateFor(tlsCsr, { from: START + YEAR })))).toBe(true);
    expect(await pair(journal)).toEqual({ fits: true, until: START + 3 * YEAR });
    expect(await keeper.claims()).toEqual({});
    expect(await journal.get('next-tls-key')).toBeNull();
  });

  test('with a clock of 2040 asks once a start, and is not renewed for ever', async () => {
    const { keeper } = await device(14);
    const { tlsCsr = new Uint8Array() } = await keeper.claims();
    expect(await keeper.take(sealed(certificateFor(tlsCsr, { from: START + YEAR })))).toBe(true);
    expect(await keeper.claims()).toEqual({});
  });
});

describe('what a broker sends', () => {
  test.each([
    ['of another key', async (): Promise<string> => certificateFor((await makeTlsKey(ID)).csr), /another key/],
    ['in another name', (csr: Uint8Array): string => certificateFor(csr, { name: 'controller' }), /another name/],
    ['of another authority', (csr: Uint8Array): string => certificateFor(csr, { authority: OTHER }), /did not sign/],
    ['that ends earlier', (csr: Uint8Array): string => certificateFor(csr, { years: 1 }), /ends no later/],
    ['that is none', (): string => 'hello', /./],
  ])('%s is not taken, and the old pair stays', async (_, forge, fault) => {
    const { keeper, journal, lines } = await device(1.5);
    const before = await pair(journal);
    const { tlsCsr = new Uint8Array() } = await keeper.claims();
    expect(await keeper.take(sealed(await forge(tlsCsr)))).toBe(false);
    expect(lines.at(-1)).toMatch(fault);
    expect(await pair(journal)).toEqual(before);
    expect(await keeper.take(Buffer.from('no message'))).toBe(false);
  });

  test('unasked is not taken', async () => {
    const { keeper, journal } = await device(0.1);
    const before = await pair(journal);
    expect(await keeper.take(sealed(certificateFor((await makeTlsKey(ID)).csr)))).toBe(false);
    expect(await pair(journal)).toEqual(before);
  });
});

test('power may be cut between any two writes: key and certificate fit each other after the next start', async () => {
  const writes = 7;
  for (let cut = 0; cut <= writes; cut++) {
    const { keeper, journal } = await device(1.5);
    const { tlsCsr = new Uint8Array() } = await keeper.claims();
    let left = cut;
    const put = journal.put.bind(journal);
    journal.put = async (key, value) => {
      if (left === 0) throw new Error('cut');
      left -= 1;
      await put(key, value);
    };
    await keeper.take(sealed(certificateFor(tlsCsr, { from: START + YEAR }))).catch(() => false);
    journal.put = put;
    await settleRenewal(journal);
    expect(await pair(journal)).toEqual({ fits: true, until: START + (cut === 0 ? 2 : 3) * YEAR });
  }
});
