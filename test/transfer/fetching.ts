// One transfer as a test wants it: patience in milliseconds, no proxy, and everything that was let in by its signatures alone.
import { mkdirSync } from 'node:fs';
import { systemClock } from '../../src/clock.ts';
import { openRelease, keyTableOf } from '../../src/release/open.ts';
import { Pace } from '../../src/transfer/body.ts';
import { fetchRelease } from '../../src/transfer/fetch-release.ts';
import type { Fetched } from '../../src/transfer/fetch-release.ts';
import { TRANSFER_LIMITS } from '../../src/transfer/limits.ts';
import type { TransferLimits } from '../../src/transfer/limits.ts';
import { Web } from '../../src/transfer/web.ts';
import { rootStatement } from '../release/publisher.ts';

export const QUICK: TransferLimits = {
  ...TRANSFER_LIMITS,
  plainHttp: true,
  headMs: 400,
  idleMs: 400,
  windowMs: 300,
  tries: 3,
  retryMs: 1,
  retryMaxMs: 2,
};

export interface Wish {
  readonly url: string;
  readonly id: string;
  /** Where the release comes to lie. */
  readonly folder: string;
  readonly limits?: Partial<TransferLimits>;
  readonly ca?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onProgress?: (there: number, of: number) => void;
}

export async function fetching(wish: Wish): Promise<Fetched> {
  const { url, id, folder, signal = new AbortController().signal } = wish;
  const limits = { ...QUICK, ...wish.limits };
  mkdirSync(folder, { recursive: true });
  using web = new Web({ clock: systemClock, limits, ca: wish.ca ?? null, env: wish.env ?? {} });
  const parts = {
    web,
    clock: systemClock,
    limits,
    pace: new Pace(systemClock, limits.bytesPerSecond),
    signal,
    folder,
    onRetry: () => {},
    onProgress: wish.onProgress ?? (() => {}),
    judge: async (files: { sig: Buffer | null; passport: Buffer | null }) => {
      const opened = openRelease({ ...files, ...keyTableOf(rootStatement) });
      return Promise.resolve(opened.ok ? opened.release.statement : null);
    },
  };
  return await fetchRelease(parts, url, id);
}
