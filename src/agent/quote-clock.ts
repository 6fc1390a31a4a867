// The clock that a TPM put into a quote: what leases are counted from.
import { Reader } from '../bytes/wire.ts';
import type { TpmClock } from '../tpm/port.ts';

/**
 * TPMS_CLOCK_INFO of a TPMS_ATTEST (Part 2, 10.12.12): magic u32, type u16, qualifiedSigner and extraData (each u16 size ‖ bytes), then
 * clock u64, resetCount u32, restartCount u32, safe u8. Errors: WireError.
 */
export function quoteClock(attest: Uint8Array): TpmClock {
  const reader = new Reader(attest, 'attest');
  reader.take(6);
  reader.take(reader.uint(2));
  reader.take(reader.uint(2));
  return {
    clock: reader.big64(),
    resetCount: reader.uint(4),
    restartCount: reader.uint(4),
    safe: reader.uint(1) === 1,
  };
}
