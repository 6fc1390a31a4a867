// The broker's certificates and requests: what openssl makes of them, and that a hostile request is refused and does no harm.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { issueCertificate, makeAuthority, makeRequest, readRequest } from '../../src/crypto/certificates.ts';
import {
  bits,
  boolean,
  bytesOf,
  context,
  fromDer,
  integer,
  oid,
  oidOf,
  parts,
  sequence,
  set,
  time,
  toDer,
  utf8,
} from '../../src/crypto/der.ts';
import type { Asn1 } from '../../src/crypto/der.ts';
import { generateKey, signEcdsa } from '../../src/crypto/ecdsa.ts';
import { WireError } from '../../src/errors.ts';
import { outcomeOf } from '../support/wire-outcome.ts';

const START = Date.UTC(2026, 0, 1);
const END = Date.UTC(2055, 0, 1);
const ca = generateKey('p256');
const leaf = generateKey('p256');
const authorityPem = makeAuthority('Fleet authority', ca.privateKey, START, END);
const authority = new X509Certificate(authorityPem);

describe('the authority', () => {
  test('is self-signed, and may sign', () => {
    expect(authority.verify(ca.publicKey)).toBe(true);
    expect(authority.ca).toBe(true);
    expect(authority.subject).toBe('CN=Fleet authority');
    expect([Date.parse(authority.validFrom), Date.parse(authority.validTo)]).toEqual([START, END]);
  });

  test('is on P-256 alone', () => {
    expect(() => makeAuthority('x', generateKey('p384').privateKey, START, END)).toThrow(RangeError);
  });
});

describe('an issued certificate', () => {
  const issue = (use: 'server' | 'client', names: readonly string[]): X509Certificate =>
    new X509Certificate(
      issueCertificate(
        { commonName: 'device', publicKey: leaf.publicKey, notBefore: START, notAfter: END, use, names },
        { commonName: 'Fleet authority', key: ca.privateKey },
      ),
    );

  test('is signed by the authority, for its key and its use', () => {
    const certificate = issue('client', []);
    expect(certificate.verify(ca.publicKey) && certificate.checkIssued(authority)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.publicKey.equals(leaf.publicKey)).toBe(true);
    expect(certificate.subjectAltName).toBeUndefined();
    expect(issue('server', []).keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  test.each([
    ['broker.example', 'DNS:broker.example'],
    ['192.0.2.1', 'IP Address:192.0.2.1'],
    ['::1', 'IP Address:0:0:0:0:0:0:0:1'],
    ['2001:db8::5', 'IP Address:2001:DB8:0:0:0:0:0:5'],
    ['2001:db8:1:2:3:4:5:6', 'IP Address:2001:DB8:1:2:3:4:5:6'],
    ['fe80::', 'IP Address:FE80:0:0:0:0:0:0:0'],
  ])('is for the name %s', (name, shown) => {
    expect(issue('server', [name]).subjectAltName).toBe(shown);
  });

  test('has a serial number of its own', () => {
    expect(issue('client', []).serialNumber).not.toBe(issue('client', []).serialNumber);
  });
});

const request = makeRequest('device-1', leaf.privateKey);
const ECDSA = '1.2.840.10045.4.3.2';
const name = (attribute: string, text: string): Asn1 => set(sequence(oid(attribute), utf8(text)));
const spki = fromDer(leaf.publicKey.export({ type: 'spki', format: 'der' }));

/** A request with this subject and signature algorithm, truly signed. */
function requestOf(subject: Asn1, algorithm = ECDSA, key: Asn1 = spki): Buffer {
  const info = sequence(integer(Buffer.from([0])), subject, key, context(0));
  return toDer(sequence(info, sequence(oid(algorithm)), bits(signEcdsa(leaf.privateKey, toDer(info)))));
}

describe('a request', () => {
  test('is read with its name and key', () => {
    const read = readRequest(request);
    expect(read.commonName).toBe('device-1');
    expect(read.publicKey.equals(createPublicKey(leaf.privateKey))).toBe(true);
    expect(readRequest(requestOf(sequence(name('2.5.4.3', 'ä')))).commonName).toBe('ä');
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /not DER/],
    ['text', Buffer.from('hello'), /not DER/],
    ['bytes left over', Buffer.concat([request, Buffer.from([0])]), /not DER/],
    ['an empty sequence', toDer(sequence()), /not a certificate request/],
    ['a primitive value', toDer(utf8('x')), /not a certificate request/],
    [
      'another signature algorithm',
      requestOf(sequence(name('2.5.4.3', 'x')), '1.2.840.10045.4.3.4'),
      /ECDSA and SHA-256/,
    ],
    ['no name', requestOf(sequence()), /one common name/],
    ['two names', requestOf(sequence(name('2.5.4.3', 'a'), name('2.5.4.3', 'b'))), /one common name/],
    ['another kind of name', requestOf(sequence(name('2.5.4.10', 'x'))), /one common name/],
    ['a key that is none', requestOf(sequence(name('2.5.4.3', 'x')), ECDSA, sequence()), /not a public key/],
  ])('that is or has %s is refused', (_, der, message) => {
    expect(() => readRequest(der)).toThrow(WireError);
    expect(() => readRequest(der)).toThrow(message);
  });

  test('for somebody else’s key is refused', () => {
    const stolen = fromDer(ca.publicKey.export({ type: 'spki', format: 'der' }));
    expect(() => readRequest(requestOf(sequence(name('2.5.4.3', 'x')), ECDSA, stolen))).toThrow(/possession/);
  });

  test('with any bit changed is refused, or says the same', () => {
    const read = Array.from({ length: request.length * 8 }, (_, bit) => {
      const changed = Buffer.from(request);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return outcomeOf(() => readRequest(changed)).value;
    }).filter((value) => value !== undefined);
    expect(read.every((value) => value.commonName === 'device-1' && value.publicKey.equals(leaf.publicKey))).toBe(true);
    // Tags around what is signed are not signed themselves.
    expect(read.length).toBeLessThan(50);
  });

  test('with an object identifier that no number holds is refused', () => {
    const endless = Buffer.from('060b5504ffffffffffffffff00', 'hex');
    const tree = sequence(fromDer(endless), utf8('x'));
    expect(oidOf(fromDer(endless))).toBe('');
    expect(() => readRequest(requestOf(sequence(set(tree))))).toThrow(/one common name/);
  });

  test('nested without end is refused', () => {
    let deep = Buffer.from([0x30, 0x00]);
    while (deep.length < 8000) {
      const size = deep.length < 128 ? [deep.length] : [0x82, deep.length >> 8, deep.length & 255];
      deep = Buffer.concat([Buffer.from([0x30, ...size]), deep]);
    }
    expect(() => readRequest(deep)).toThrow(WireError);
  });
});

describe('DER', () => {
  test('has UTCTime before 2050 and GeneralizedTime from then on', () => {
    expect(bytesOf(time(Date.UTC(2049, 11, 31, 23, 59, 59))).toString()).toBe('491231235959Z');
    expect(bytesOf(time(Date.UTC(2050, 0, 1))).toString()).toBe('20500101000000Z');
  });

  test('has one form of true and false', () => {
    expect([true, false].map((value) => toDer(boolean(value)).toString('hex'))).toEqual(['0101ff', '010100']);
  });

  test('has no negative integers', () => {
    expect(toDer(integer(Buffer.from([0x80]))).toString('hex')).toBe('02020080');
    expect(toDer(integer(Buffer.from([0x7f]))).toString('hex')).toBe('02017f');
    expect(toDer(integer(new Uint8Array())).toString('hex')).toBe('0200');
  });

  test('of one kind asked for as another is empty', () => {
    expect(oidOf(utf8('x'))).toBe('');
    expect(oidOf(undefined)).toBe('');
    expect(parts(utf8('x'))).toEqual([]);
    expect(bytesOf(sequence())).toEqual(Buffer.alloc(0));
  });
});
