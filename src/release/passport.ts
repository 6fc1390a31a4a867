// The release passport as an in-toto statement: written one way, read strictly.
import { hexString, parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import type { JsonLimits } from '../bytes/json-strict.ts';
import { toUtf8 } from '../bytes/text.ts';
import { IN_TOTO_STATEMENT } from './oms-statement.ts';
import { orFault } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { PASSPORT_TYPE, passportShape } from './types.ts';
import type { Passport } from './types.ts';

/** A passport is small: a thousand withdrawn releases and all texts at their longest. */
export const PASSPORT_LIMITS: JsonLimits = {
  maxBytes: 256 * 1024,
  maxDepth: 16,
};

/** What this version understands, and so may be marked as critical. */
const FIELDS: Readonly<Record<Exclude<keyof Passport, 'v' | 'crit'>, true>> = {
  modelId: true,
  version: true,
  securityVersion: true,
  slotRole: true,
  hardwareClass: true,
  minimumAgent: true,
  notBefore: true,
  notAfter: true,
  statementDigest: true,
  manifestDigest: true,
  predecessor: true,
  withdraws: true,
  intendedUse: true,
  modelCard: true,
  healthCheck: true,
  attestations: true,
  pccpChangeId: true,
};

interface Wire {
  readonly _type: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: Passport;
}

const shape: Shape<Wire> = v.object({
  _type: v.literal(IN_TOTO_STATEMENT),
  subject: v.pipe(
    v.array(v.object({ name: v.pipe(v.string(), v.maxLength(256)), digest: v.object({ sha256: hexString(32) }) })),
    v.length(1),
  ),
  predicateType: v.literal(PASSPORT_TYPE),
  predicate: passportShape,
});

/** Exact bytes to be signed; their SHA-256 is the release id. Errors: WireError when a field is outside of its shape. */
export function encodePassport(passport: Passport): Buffer {
  const predicate = parseShape(passportShape, passport, 'passport');
  return toUtf8(
    JSON.stringify({
      _type: IN_TOTO_STATEMENT,
      subject: [{ name: predicate.modelId, digest: { sha256: predicate.statementDigest } }],
      predicateType: PASSPORT_TYPE,
      predicate,
    }),
  );
}

/** A passport, and the digest of the subject that its statement is about. */
export interface ReadPassport {
  readonly passport: Passport;
  readonly subject: string;
}

/** Reads the exact bytes that a signature covered. Never throws, whatever they are. */
export function readPassport(payload: Uint8Array): ReadPassport | { faults: ReleaseFault[] } {
  const read = orFault('release-malformed', 'passport', () =>
    parseShape(shape, parseJsonStrict(payload, PASSPORT_LIMITS), 'passport'),
  );
  if ('fault' in read) return { faults: [read.fault] };
  return { passport: read.value.predicate, subject: read.value.subject[0]?.digest.sha256 ?? '' };
}

/** Fields marked as critical that this version does not know. */
export function unknownCritical(passport: Passport): string[] {
  return (passport.crit ?? []).filter((field) => !Object.hasOwn(FIELDS, field));
}
