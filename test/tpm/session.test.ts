// A session by itself: what it demands of an answer that comes with the right proof.
import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { CommandQueue } from '../../src/tpm/queue.ts';
import { Session } from '../../src/tpm/sessions/session.ts';
import { TPMA_SESSION } from '../../src/tpm/wire/constants.ts';

const sessionKey = Buffer.alloc(32, 7);
const queue = new CommandQueue({
  raw: true,
  transmit: async () => Promise.reject(new Error('no TPM here')),
  close: async () => Promise.resolve(),
});

function sessionOf(key: Buffer): Session {
  return new Session(queue, { handle: 0x02000000, kind: 'hmac', sessionKey: key, nonceTpm: randomBytes(32) });
}

test('an answer that authenticates and was not encrypted as asked is refused', () => {
  const session = sessionOf(sessionKey);
  const use = session.use({ encryptResponse: true });
  const rpHash = randomBytes(32);
  const nonceTpm = randomBytes(32);
  const answer = (attributes: number): { nonceTpm: Buffer; attributes: number; hmac: Buffer } => ({
    nonceTpm,
    attributes,
    hmac: createHmac('sha256', sessionKey)
      .update(Buffer.concat([rpHash, nonceTpm, use.nonceCaller, Buffer.from([attributes])]))
      .digest(),
  });
  const before = session.nonceTpm;
  expect(() => {
    use.accept(rpHash, answer(TPMA_SESSION.continueSession));
  }).toThrow(/did not encrypt/);
  expect(session.nonceTpm).toEqual(before);
  use.accept(rpHash, answer(TPMA_SESSION.continueSession | TPMA_SESSION.encrypt));
  expect(session.nonceTpm).toEqual(nonceTpm);
});

test('a session that has no secret to hide by is not asked to hide', () => {
  expect(() => sessionOf(Buffer.alloc(0)).use({ encryptResponse: true })).toThrow(TypeError);
  expect(() => sessionOf(Buffer.alloc(0)).use({ auth: Buffer.alloc(4), encryptCommand: true })).toThrow(TypeError);
  expect(sessionOf(Buffer.alloc(0)).use({ auth: Buffer.from([1]), encryptCommand: true }).attributes).toBe(0x21);
});

test('auth values that differ in zeros at their end only are one value', () => {
  const cpHash = randomBytes(32);
  const session = sessionOf(sessionKey);
  const proof = (auth: Buffer): { hmac: Buffer; nonce: Buffer } => {
    const use = session.use({ auth });
    return { hmac: use.authorize(cpHash, Buffer.alloc(0)), nonce: use.nonceCaller };
  };
  const { hmac, nonce } = proof(Buffer.from('616200', 'hex'));
  const expected = createHmac('sha256', Buffer.concat([sessionKey, Buffer.from('6162', 'hex')]))
    .update(Buffer.concat([cpHash, nonce, session.nonceTpm, Buffer.from([TPMA_SESSION.continueSession])]))
    .digest();
  expect(hmac).toEqual(expected);
});
