// A release comes over the web: only what was signed is asked for, and a cut costs no byte that came before it.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeRelease, stranger } from '../release/publisher.ts';
import { fetching } from './fetching.ts';
import {
  BIG,
  bigGets,
  bytesOn,
  cutting,
  MIB,
  pool,
  refused,
  root,
  sameBytes,
  scene,
  unavailable,
  whole,
} from './scene.ts';
import { serve, WebServer } from './web-server.ts';

describe('a release comes over the web', () => {
  test('byte for byte, signed files first, and nothing else is asked for', async () => {
    await scene(async ({ server, folder, fetch }) => {
      writeFileSync(join(whole.folder, 'model', 'surplus.txt'), 'not signed');
      const seen: number[] = [];
      expect(await fetch({ onProgress: (there, of) => seen.push(there / of) })).toEqual({ at: 'here' });
      rmSync(join(whole.folder, 'model', 'surplus.txt'));
      sameBytes(folder);
      expect(readFileSync(join(folder, 'model/labels/en & de.txt'), 'utf8')).toBe('road\n');
      expect(statSync(join(folder, 'model/empty.txt')).size).toBe(0);
      expect(server.asked.slice(0, 2)).toEqual(['GET passport.json', 'GET model.sig']);
      expect(server.asked.some((one) => one.includes('surplus'))).toBe(false);
      expect(seen.at(-1)).toBe(1);
      expect(readdirSync(folder).toSorted()).toEqual(['model', 'model.sig', 'passport.json']);
    });
  });

  test('from a folder of releases by their ids', async () => {
    await using server = await WebServer.start(root);
    const folder = mkdtempSync(join(root, 'here-'));
    server.trick = (path, request, response) => {
      if (!path.startsWith(whole.id)) return false;
      const file = join(whole.folder, path.slice(whole.id.length + 1));
      serve(request, response, existsSync(file) ? readFileSync(file) : null);
      return true;
    };
    expect(await fetching({ url: server.url, id: whole.id, folder })).toEqual({ at: 'here' });
    sameBytes(folder);
  });

  test('and nothing beyond its signed files when a stranger signed them', async () => {
    const bad = await makeRelease(join(root, 'bad'), pool, { key: stranger });
    await scene(async ({ server, folder, fetch }) => {
      expect(await fetch()).toEqual({ at: 'refused' });
      expect(server.asked).toEqual(['GET passport.json', 'GET model.sig']);
      expect(readdirSync(folder)).toEqual([]);
    }, bad);
  });
});

describe('a cut', () => {
  test('of the line is gone on from where it came, by a range', async () => {
    await scene(
      async ({ server, folder, fetch }) => {
        expect(await fetch()).toEqual({ at: 'here' });
        sameBytes(folder);
        const gets = bigGets(server);
        expect(gets).toHaveLength(4);
        expect(gets[0]).toBe(`GET ${BIG}`);
        expect(gets.slice(1).every((one) => /bytes=[1-9]\d+-$/.test(one))).toBe(true);
      },
      whole,
      cutting(3, 3 * MIB),
    );
  });

  test('more often than the patience allows is no cut as long as something new comes each time', async () => {
    await scene(
      async ({ fetch }) => {
        expect(await fetch()).toEqual({ at: 'here' });
      },
      whole,
      cutting(10, MIB),
    );
  });

  test('of the power is gone on from the last checkpoint, and every byte before is read again', async () => {
    await scene(async ({ server, folder, fetch }) => {
      server.trick = cutting(99, 18 * MIB);
      await expect(fetch({ limits: { tries: 1 } })).rejects.toEqual(unavailable(BIG));
      const part = readdirSync(join(folder, '.parts')).find((name) => name.endsWith('.part')) ?? '';
      // What was written after the checkpoint may be anything.
      const path = join(folder, '.parts', part);
      writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(4096)]));
      server.trick = () => false;
      server.asked.length = 0;
      expect(await fetch()).toEqual({ at: 'here' });
      sameBytes(folder);
      expect(bigGets(server)[0]).toMatch(/bytes=[1-9]\d{6,}-$/);
    });
  });

  test('whose partial file was changed meanwhile is not gone on from: it ends with the signed bytes', async () => {
    await scene(async ({ server, folder, fetch }) => {
      server.trick = cutting(99, 18 * MIB);
      await expect(fetch({ limits: { tries: 1 } })).rejects.toEqual(unavailable(BIG));
      const part = readdirSync(join(folder, '.parts')).find((name) => name.endsWith('.part')) ?? '';
      const bytes = readFileSync(join(folder, '.parts', part));
      bytes.fill(0, 100, 200);
      writeFileSync(join(folder, '.parts', part), bytes);
      server.trick = () => false;
      expect(await fetch()).toEqual({ at: 'here' });
      sameBytes(folder);
    });
  });

  test('whose record is no record starts anew', async () => {
    await scene(async ({ server, folder, fetch }) => {
      server.trick = cutting(99, 18 * MIB);
      await expect(fetch({ limits: { tries: 1 } })).rejects.toEqual(unavailable(BIG));
      const record = readdirSync(join(folder, '.parts')).find((name) => name.endsWith('.json')) ?? '';
      writeFileSync(join(folder, '.parts', record), '{"size":');
      server.trick = () => false;
      server.asked.length = 0;
      expect(await fetch()).toEqual({ at: 'here' });
      expect(bigGets(server)).toEqual([`GET ${BIG}`]);
    });
  });

  test('by whoever asked keeps what came', async () => {
    await scene(async ({ server, folder, fetch }) => {
      const stop = new AbortController();
      const onProgress = (there: number): void => {
        if (there > 5 * MIB) stop.abort(new Error('a newer command'));
      };
      await expect(fetch({ signal: stop.signal, onProgress })).rejects.toThrow('a newer command');
      expect(await bytesOn(folder)).toBeGreaterThan(5 * MIB);
      server.asked.length = 0;
      expect(await fetch()).toEqual({ at: 'here' });
      expect(bigGets(server)[0]).toMatch(/bytes=[1-9]\d{6,}-$/);
    });
  });
});

describe('before the first file', () => {
  test('the profile’s limit is asked', async () => {
    await scene(async ({ server, fetch }) => {
      await expect(fetch({ limits: { maxBytes: MIB } })).rejects.toEqual(refused(`the profile allows ${MIB}`));
      expect(bigGets(server)).toEqual([]);
    });
  });

  test('free space is asked, by what the server announces', async () => {
    await scene(
      async ({ server, fetch }) => {
        await expect(fetch()).rejects.toMatchObject({ code: 'DISK_FULL' });
        expect(bigGets(server)).toEqual([]);
      },
      whole,
      (path, request, response) => {
        if (path !== BIG || request.method !== 'HEAD') return false;
        response.writeHead(200, { 'content-length': 2 ** 49 }).end();
        return true;
      },
    );
  });
});
