// The floor token that came with a release: bytes that only the floor itself can judge.
import { join } from 'node:path';
import { FLOOR_TOKEN_BYTES, FLOOR_TOKEN_FILE, readBounded } from '../release/release-folder.ts';

/** Exact bytes of the token in a release folder, proved by nobody; null when there is none to read. */
export async function readFloorToken(folder: string): Promise<Uint8Array | null> {
  return readBounded(join(folder, FLOOR_TOKEN_FILE), FLOOR_TOKEN_BYTES).catch(() => null);
}
