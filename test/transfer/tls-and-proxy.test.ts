// The way to a server: its certificate, the proxy that the environment names, redirects, and addresses that are never asked.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { issueCertificate, makeAuthority } from '../../src/crypto/certificates.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { limitsOf } from '../../src/transfer/limits.ts';
import { Pace } from '../../src/transfer/body.ts';
import { fileUrl, folderUrl, isWebSource } from '../../src/transfer/source-url.ts';
import { makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { fetching } from './fetching.ts';
import { WebServer } from './web-server.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'tls-'));
let release: MadeRelease;
beforeAll(async () => {
  release = await makeRelease(join(root, 'release'), pool);
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const YEAR = 365 * 86_400_000;
const [authority, serverKey] = [generateKey('p256').privateKey, generateKey('p256').privateKey];
const [notBefore, notAfter] = [Date.now() - YEAR, Date.now() + YEAR];
const ca = makeAuthority('test', authority, notBefore, notAfter);
const cert = issueCertificate(
  {
    commonName: 'web',
    publicKey: createPublicKey(serverKey),
    notBefore,
    notAfter,
    use: 'server',
    names: ['localhost'],
  },
  { commonName: 'test', key: authority },
);
const tls = { key: serverKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert };
const here = (): string => mkdtempSync(join(root, 'here-'));

describe('over TLS', () => {
  test('the authority that the profile names is trusted', async () => {
    await using server = await WebServer.start(release.folder, tls);
    const wish = { url: server.url, id: release.id, folder: here(), ca, limits: { plainHttp: false } };
    expect(await fetching(wish)).toEqual({ at: 'here' });
  });

  test('a server without a trusted certificate is asked once and told nothing', async () => {
    await using server = await WebServer.start(release.folder, tls);
    const wish = { url: server.url, id: release.id, folder: here(), limits: { plainHttp: false } };
    await expect(fetching(wish)).rejects.toMatchObject({
      code: 'TRANSFER_REFUSED',
      message: expect.stringContaining('TLS'),
    });
    expect(server.asked).toEqual([]);
  });

  test('a redirect to http is not followed where the profile does not allow http', async () => {
    await using plain = await WebServer.start(release.folder);
    await using server = await WebServer.start(release.folder, tls);
    server.trick = (path, _request, response) => {
      response.writeHead(302, { location: `${plain.url}${path}` }).end();
      return true;
    };
    const wish = { url: server.url, id: release.id, ca };
    await expect(fetching({ ...wish, folder: here(), limits: { plainHttp: false } })).rejects.toMatchObject({
      code: 'TRANSFER_REFUSED',
      message: expect.stringContaining('http is not allowed'),
    });
    expect(plain.asked).toEqual([]);
    expect(await fetching({ ...wish, folder: here(), limits: { plainHttp: true } })).toEqual({ at: 'here' });
  });
});

test('the proxy that the environment names is used', async () => {
  await using server = await WebServer.start(release.folder);
  const through: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket, head) => {
    through.push(`CONNECT ${request.url ?? ''}`);
    const onward = connect(Number(new URL(server.url).port), 'localhost', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  proxy.on('request', (request, response) => {
    through.push(`${request.method ?? ''} ${request.url ?? ''}`);
    response.writeHead(403, { 'content-length': 0 }).end();
  });
  proxy.listen(0, 'localhost');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const wish = { url: 'http://models.invalid/r/', id: release.id, folder: here() };
  await expect(fetching({ ...wish, env: { HTTP_PROXY: `http://localhost:${port}` } })).rejects.toMatchObject({
    code: 'TRANSFER_REFUSED',
    message: expect.stringContaining('answers 403'),
  });
  expect(through[0]).toContain('models.invalid/r/passport.json');
  proxy.closeAllConnections();
  proxy.close();
});

describe('an address', () => {
  test.each([
    ['http://example.org/', 'http is not allowed'],
    ['https://user:secret@example.org/', 'password'],
    ['https://example.org/?token=secret', 'folder only'],
    ['https://', 'no address'],
  ])('%s is refused, without what may be secret in it', (address, words) => {
    const refusal = (): URL => folderUrl(address, false);
    expect(refusal).toThrow(
      expect.objectContaining({ code: 'TRANSFER_REFUSED', message: expect.stringContaining(words) }),
    );
    expect(refusal).not.toThrow('secret');
  });

  test('of a file stays below the folder, whatever the file is called', () => {
    const folder = folderUrl('https://example.org/r', false);
    expect(fileUrl(folder, 'a b/ü?x#y%2e').href).toBe('https://example.org/r/a%20b/%C3%BC%3Fx%23y%252e');
    expect(isWebSource('HTTPS://example.org')).toBe(true);
    expect(isWebSource('/srv/https:')).toBe(false);
  });
});

test('a rate limit spreads the bytes over the time that they should take', async () => {
  let now = 1000;
  const clock = {
    ...systemClock,
    monotonic: () => now,
    sleep: async (ms: number) => {
      now += ms;
      return Promise.resolve();
    },
  };
  const pace = new Pace(clock, 1000);
  for (let i = 0; i < 10; i++) await pace.spend(500, new AbortController().signal);
  expect(now).toBe(6000);
});

test('a profile without a word of transfers allows https, as fast as it comes', () => {
  expect(limitsOf()).toMatchObject({ plainHttp: false, bytesPerSecond: null, maxBytes: null, jitterMs: 0 });
  expect(limitsOf({ jitterSeconds: 2, plainHttp: true })).toMatchObject({ plainHttp: true, jitterMs: 2000 });
});
