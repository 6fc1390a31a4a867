// A slow line or a lying server costs time, and never more disk than was announced.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  BIG,
  bigGets,
  bytesOn,
  cutting,
  MIB,
  refused,
  sameBytes,
  scene,
  sharded,
  unavailable,
  weights,
  whole,
} from './scene.ts';
import { serve } from './web-server.ts';
import type { Trick } from './web-server.ts';

describe('a hostile server', () => {
  const get =
    (act: Trick): Trick =>
    (path, request, response, body) =>
      path === BIG && request.method === 'GET' && act(path, request, response, body);

  test('that ignores ranges is listened to from the start again', async () => {
    let cuts = 1;
    const trick = get((_path, request, response, body) => {
      delete request.headers.range;
      if (cuts-- > 0) {
        response.writeHead(200, { 'content-length': body?.length ?? 0 });
        response.write(body?.subarray(0, MIB), () => setImmediate(() => response.destroy()));
        return true;
      }
      return false;
    });
    await scene(
      async ({ folder, fetch }) => {
        expect(await fetch()).toEqual({ at: 'here' });
        sameBytes(folder);
      },
      whole,
      trick,
    );
  });

  test('whose body never ends is left at the announced length, with no more on the disk', async () => {
    const trick = get((_path, _request, response) => {
      response.writeHead(200, {});
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(MIB)));
      };
      response.on('drain', more);
      more();
      return true;
    });
    await scene(
      async ({ folder, fetch }) => {
        await expect(fetch()).rejects.toEqual(refused('longer than'));
        expect(await bytesOn(folder)).toBeLessThanOrEqual(weights.length + 4096);
      },
      whole,
      trick,
    );
  });

  test.each(['passport.json', 'model.sig'])('whose %s never ends is left at the limit of that file', async (name) => {
    await scene(
      async ({ folder, fetch }) => {
        await expect(fetch()).rejects.toEqual(refused('longer than'));
        expect(readdirSync(folder)).toEqual([]);
      },
      whole,
      (path, _request, response) => {
        if (path !== name) return false;
        response.writeHead(200, {});
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(MIB)));
        };
        response.on('drain', more);
        more();
        return true;
      },
    );
  });

  test('that sends other bytes than signed is a fault of that file', async () => {
    const wrong = Buffer.alloc(weights.length, 'x');
    await scene(
      async ({ folder, fetch }) => {
        expect(await fetch()).toMatchObject({
          at: 'wrong',
          fault: { rule: 'release-file-changed', expected: expect.stringContaining('weights.onnx') },
        });
        expect(existsSync(join(folder, 'passport.json'))).toBe(false);
        expect(existsSync(join(folder, BIG))).toBe(false);
      },
      whole,
      get((_path, request, response) => {
        serve(request, response, wrong);
        return true;
      }),
    );
  });

  test('that sends a wrong shard is left at the end of that shard', async () => {
    const wrong = Buffer.from(weights);
    wrong[0] = 0;
    const seen: number[] = [];
    await scene(
      async ({ fetch }) => {
        const outcome = await fetch({ onProgress: (there) => seen.push(there) });
        expect(outcome).toMatchObject({ at: 'wrong', fault: { rule: 'release-file-changed' } });
        expect(Math.max(...seen)).toBeLessThan(3 * MIB);
      },
      sharded,
      get((_path, request, response) => {
        serve(request, response, wrong);
        return true;
      }),
    );
  });

  const odd: readonly [string, string, Trick][] = [
    [
      'announces no length',
      'Content-Length',
      (path, request, response) => {
        if (path !== BIG || request.method !== 'HEAD') return false;
        response.writeHead(200, { 'transfer-encoding': 'chunked' }).end();
        return true;
      },
    ],
    [
      'announces another length later',
      'announced now',
      get((_path, request, response) => {
        serve(request, response, Buffer.alloc(9));
        return true;
      }),
    ],
    [
      'sends it encoded',
      'encoded (gzip)',
      get((_path, _request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
        return true;
      }),
    ],
    [
      'does not have a signed file',
      'answers 404',
      (path, request, response) => {
        if (path === BIG) serve(request, response, null);
        return path === BIG;
      },
    ],
    [
      'redirects without end',
      'more than 5 redirects',
      (_path, request, response) => {
        response.writeHead(302, { location: request.url }).end();
        return true;
      },
    ],
    [
      'redirects to a file of the device',
      'only https and http',
      (_path, _request, response) => {
        response.writeHead(302, { location: 'file:///etc/passwd' }).end();
        return true;
      },
    ],
    [
      'redirects to nowhere',
      'redirects to no address',
      (_path, _request, response) => {
        response.writeHead(302).end();
        return true;
      },
    ],
  ];
  test.each(odd)('that %s is refused', async (_title, words, trick) => {
    await scene(
      async ({ fetch }) => {
        await expect(fetch()).rejects.toEqual(refused(words));
      },
      whole,
      trick,
    );
  });

  test('that announces another length than was signed in shards is refused before a byte of it comes', async () => {
    await scene(
      async ({ server, fetch }) => {
        await expect(fetch()).rejects.toEqual(refused('bytes signed'));
        expect(bigGets(server)).toEqual([]);
      },
      sharded,
      (path, _request, response) => {
        if (path !== BIG) return false;
        response.writeHead(200, { 'content-length': 2 ** 40 }).end();
        return true;
      },
    );
  });

  test('that sends a range that was not asked for is refused', async () => {
    let first = true;
    const cut = cutting(1, 3 * MIB);
    await scene(
      async ({ fetch }) => {
        await expect(fetch()).rejects.toEqual(refused('another range'));
      },
      whole,
      get((path, request, response, body) => {
        if (first) {
          first = false;
          return cut(path, request, response, body);
        }
        response.writeHead(206, { 'content-range': 'bytes 0-9/10', 'content-length': 10 }).end('0123456789');
        return true;
      }),
    );
  });

  const slow: readonly [string, string, Trick][] = [
    ['never answers', 'no answer within', () => true],
    [
      'stops in the middle',
      'nothing came for',
      get((_path, _request, response, body) => {
        response.writeHead(200, { 'content-length': body?.length ?? 0 });
        response.write('x');
        return true;
      }),
    ],
    [
      'sends what is no HTTP',
      'aborted',
      get((_path, request) => {
        request.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nZZ\r\n');
        return true;
      }),
    ],
    [
      'drips',
      'bytes came in',
      get((_path, _request, response, body) => {
        response.writeHead(200, { 'content-length': body?.length ?? 0 });
        const timer = setInterval(() => response.write('x'), 20);
        response.on('close', () => {
          clearInterval(timer);
        });
        return true;
      }),
    ],
    [
      'fails',
      'answers 503',
      (_path, _request, response) => {
        response.writeHead(503).end();
        return true;
      },
    ],
  ];
  test.each(slow)('that %s is asked again, and then given up', async (_title, words, trick) => {
    await scene(
      async ({ fetch }) => {
        await expect(fetch({ limits: { tries: 2 } })).rejects.toEqual(unavailable(words));
      },
      whole,
      trick,
    );
  });
});
