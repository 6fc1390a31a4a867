// One more publisher's signature on a passport: for models of which the root says that one person is not enough.
import { fromBase64, toUtf8 } from '../bytes/text.ts';
import type { KeyObject } from 'node:crypto';
import { parseDsse, signDsse } from '../crypto/dsse.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { IN_TOTO_TYPE } from './oms-statement.ts';
import { OPEN_CHECKS, PASSPORT_FILE_BYTES } from './open.ts';
import type { OpenChecks } from './open.ts';

/** What is asked of a release that still lacks signatures of other publishers. */
export const CHECKS_BEFORE_COUNTERSIGNING: OpenChecks = {
  ...OPEN_CHECKS,
  content: OPEN_CHECKS.content.filter((check) => check.rule !== 'release-threshold'),
};

/** passport.json with a signature by `key` over the same bytes: the release keeps its id. Errors: WireError. */
export function countersignPassport(passport: Uint8Array, key: KeyObject): Buffer {
  const envelope = parseDsse(passport, PASSPORT_FILE_BYTES);
  const more = signDsse(IN_TOTO_TYPE, fromBase64(envelope.payload), [key]);
  const others = envelope.signatures.filter((one) => one.keyid !== keyId(key));
  return toUtf8(JSON.stringify({ ...envelope, signatures: [...others, ...more.signatures] }));
}
