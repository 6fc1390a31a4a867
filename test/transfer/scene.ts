// A web server with a signed release and a device's folder beside it, and the ways in which the one may fail the other.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { listTree } from '../../src/files/tree.ts';
import { makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { fetching } from './fetching.ts';
import type { Wish } from './fetching.ts';
import { WebServer } from './web-server.ts';
import type { Trick } from './web-server.ts';

export const MIB: number = 1024 * 1024;
export const BIG = 'model/weights.onnx';
export const pool: HashPool = new HashPool();
export const root: string = mkdtempSync(join(tmpdir(), 'web-'));
export const weights: string = Buffer.alloc(20 * MIB, 'weights ').toString();
export let whole: MadeRelease;
export let sharded: MadeRelease;

beforeAll(async () => {
  const files = { 'weights.onnx': weights, 'labels/en & de.txt': 'road\n', 'empty.txt': '' };
  whole = await makeRelease(join(root, 'whole'), pool, { files });
  sharded = await makeRelease(join(root, 'sharded'), pool, { files, method: 'shards', shardBytes: MIB });
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

export interface Scene {
  readonly server: WebServer;
  readonly folder: string;
  readonly fetch: (changes?: Partial<Wish>) => ReturnType<typeof fetching>;
}

export async function scene(
  act: (scene: Scene) => Promise<void>,
  made: MadeRelease = whole,
  trick?: Trick,
): Promise<void> {
  await using server = await WebServer.start(made.folder);
  if (trick !== undefined) server.trick = trick;
  const folder = mkdtempSync(join(root, 'here-'));
  const wish = { url: server.url, id: made.id, folder };
  await act({ server, folder, fetch: async (changes = {}) => fetching({ ...wish, ...changes }) });
}

export const bigGets = (server: WebServer): string[] => server.asked.filter((one) => one.startsWith(`GET ${BIG}`));
export const refused = (words: string): unknown =>
  expect.objectContaining({ code: 'TRANSFER_REFUSED', message: expect.stringContaining(words) });
export const unavailable = (words: string): unknown =>
  expect.objectContaining({ code: 'TRANSFER_UNAVAILABLE', message: expect.stringContaining(words) });
export const sameBytes = (folder: string): void => {
  expect(readFileSync(join(folder, BIG)).equals(readFileSync(join(whole.folder, BIG)))).toBe(true);
};

export async function bytesOn(folder: string): Promise<number> {
  return (await listTree(folder)).files.reduce((sum, file) => sum + file.size, 0);
}

/** Ends the connection in the middle of the big file, `times` times. */
export function cutting(times: number, after: number): Trick {
  let left = times;
  return (path, request, response, body) => {
    if (path !== BIG || request.method !== 'GET' || body === null || left-- <= 0) return false;
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const from = Number(range?.[1] ?? 0);
    const headers = { 'content-length': body.length - from };
    if (range === null) response.writeHead(200, headers);
    else response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` });
    response.write(body.subarray(from, from + after), () => setImmediate(() => response.destroy()));
    return true;
  };
}
