// The part of a profile about releases that are fetched from a web server: from where, how much, how fast.
import { text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';

export interface TransferProfile {
  /** Of one release, all files together; left out: what the disk has room for. */
  readonly maxBytes?: number;
  /** Left out: as fast as it comes. */
  readonly bytesPerSecond?: number;
  /** The start of a transfer is put off by a random part of it: a fleet does not ask all at once. */
  readonly jitterSeconds?: number;
  /** True: also http. Every byte is verified either way, but whoever listens can read it. */
  readonly plainHttp?: boolean;
  /** PEM file on the device with the certificate authorities to trust instead of the usual ones. */
  readonly caFile?: string;
}

export const transferShape: Shape<TransferProfile> = v.strictObject({
  maxBytes: v.exactOptional(v.pipe(uint(), v.minValue(1))),
  bytesPerSecond: v.exactOptional(v.pipe(uint(), v.minValue(1024))),
  jitterSeconds: v.exactOptional(uint(86_400)),
  plainHttp: v.exactOptional(v.boolean()),
  caFile: v.exactOptional(
    v.pipe(
      text(4096),
      v.check((path) => path.startsWith('/'), 'must be absolute'),
    ),
  ),
});
