// What a failure means for an agent: going on, ending, or enrolling again.
import { TouchstoneError } from '../errors.ts';

/** Failures after which the agent goes on: everything else ends it. */
export function canGoOn(error: unknown): boolean {
  return error instanceof TouchstoneError && /^(?:BUS|WIRE|MEASURE|RELEASE)_/.test(error.code);
}

/** What a broker says to a certificate that ran out or was taken back: only enrolling again brings another (RFC 8446, 6.2). */
export function isCertificateRefusal(error: unknown): boolean {
  return error instanceof TouchstoneError && /alert certificate (?:expired|revoked|unknown)/.test(error.message);
}
