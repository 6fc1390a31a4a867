// A batch: the endorsement keys that a factory line saw, signed there by a station that the fleet root names. Permission, no proof of a TPM.
import type { KeyObject } from 'node:crypto';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { hexString, name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { timeText, toUtf8 } from '../bytes/text.ts';
import { parseDsse, signDsse, verifyDsse } from '../crypto/dsse.ts';
import { WireError } from '../errors.ts';
import type { BatchRuleId } from '../rules/batch-rules.ts';
import type { Finding } from '../rules/finding.ts';
import { shown } from './judgement.ts';
import { importKeys } from './root-keys.ts';
import type { RootStatement } from './types.ts';

const BATCH_TYPE = 'application/vnd.touchstone.ek-batch+json';
/** Keys in one batch. */
export const BATCH_MAX = 5000;
/** Longest file of a batch: its envelope. */
export const BATCH_BYTES: number = 3 * 1024 * 1024;

export interface BatchEntry {
  /** TPM Name of the endorsement key: algorithm and digest, hex. */
  readonly ekName: string;
  /** SHA-256 of the EK certificate that the station checked, hex; null where the operator of the line took the key without one. */
  readonly certificate: string | null;
  /** What the line calls the device. */
  readonly serial?: string;
}

export interface EkBatch {
  readonly v: 1;
  readonly crit?: readonly string[];
  readonly fleetId: string;
  /** 16 random bytes, hex: a controller takes each batch once. */
  readonly id: string;
  /** The station's clock; nothing is decided by it. */
  readonly issuedAt: number;
  /** ms; none of its devices is let in later. */
  readonly expires: number;
  /** What its devices may enrol as. */
  readonly profiles: readonly string[];
  /** How many keys it holds. */
  readonly count: number;
  readonly entries: readonly BatchEntry[];
}

/** TPM Name of a key with SHA-256 or SHA-384, hex. */
export const ekNameShape: Shape<string> = v.pipe(
  v.string(),
  v.regex(/^(?:000b[0-9a-f]{64}|000c[0-9a-f]{96})$/, 'it is no TPM Name in hex'),
);

export const batchShape: Shape<EkBatch> = v.object({
  v: v.literal(1),
  crit: v.exactOptional(v.pipe(v.array(text(64)), v.maxLength(16))),
  fleetId: hexString(16),
  id: hexString(16),
  issuedAt: uint(),
  expires: uint(),
  profiles: v.pipe(v.array(name), v.minLength(1), v.maxLength(64)),
  count: uint(BATCH_MAX),
  entries: v.pipe(
    v.array(
      v.object({ ekName: ekNameShape, certificate: v.nullable(hexString(32)), serial: v.exactOptional(text(64)) }),
    ),
    v.minLength(1),
    v.maxLength(BATCH_MAX),
  ),
});

/** What this version understands, and so may be marked as critical. */
const FIELDS: ReadonlySet<string> = new Set<Exclude<keyof EkBatch, 'v' | 'crit'>>([
  'fleetId',
  'id',
  'issuedAt',
  'expires',
  'profiles',
  'count',
  'entries',
]);

/** The file. Errors: WireError when a field is outside of its shape. */
export function signBatch(batch: EkBatch, key: KeyObject): Buffer {
  const payload = toUtf8(JSON.stringify(parseShape(batchShape, batch, 'batch')));
  return toUtf8(`${JSON.stringify(signDsse(BATCH_TYPE, payload, [key]))}\n`);
}

/** A batch whose signature was verified. */
export interface SignedBatch {
  readonly batch: EkBatch;
  /** Ids of the stations that signed it, revoked ones too: what they may is asked at each use. */
  readonly signers: readonly string[];
}

export interface BatchFault {
  readonly rule: BatchRuleId;
  readonly expected: string;
  readonly found: string;
}

/** What a batch is held against. */
export interface BatchFacts extends SignedBatch {
  readonly root: Pick<RootStatement, 'fleetId' | 'stations' | 'revoked'>;
  /** ms since 1970. */
  readonly now: number;
}

export interface BatchCheck {
  readonly rule: BatchRuleId;
  /** Null: nothing is wrong. */
  judge(facts: BatchFacts): Omit<BatchFault, 'rule'> | null;
}

type Station = NonNullable<RootStatement['stations']>[number];

/** Stations that signed it and are not revoked. */
function goodSigners({ root, signers }: BatchFacts): readonly Station[] {
  const revoked = new Set(root.revoked.map((one) => one.id));
  return (root.stations ?? []).filter(({ id }) => signers.includes(id) && !revoked.has(id));
}

/** Asked of every batch whenever it would let a device in: a key may be revoked and a time may end after the import. */
export const BATCH_CHECKS: readonly BatchCheck[] = [
  {
    // No date helps: who stole the key of a station without a clock of ours signs with yesterday's.
    rule: 'batch-signer-revoked',
    judge: (facts) => {
      if (goodSigners(facts).length > 0) return null;
      const found = facts.signers.map((id) => {
        const why = facts.root.revoked.find((one) => one.id === id)?.reason ?? 'not named any more';
        return `key ${id}: ${why}`;
      });
      return { expected: 'a station key that is not revoked', found: found.join('; ') };
    },
  },
  {
    rule: 'batch-critical',
    judge: ({ batch: { crit = [] } }) => {
      const unknown = crit.filter((field) => !FIELDS.has(field));
      return unknown.length === 0
        ? null
        : { expected: 'critical fields of batch version 1', found: unknown.join(', ') };
    },
  },
  {
    rule: 'batch-fleet',
    judge: ({ batch, root }) =>
      batch.fleetId === root.fleetId ? null : { expected: `fleet ${root.fleetId}`, found: `fleet ${batch.fleetId}` },
  },
  {
    rule: 'batch-expired',
    judge: ({ batch: { expires }, now }) =>
      now <= expires ? null : { expected: `${timeText(now)} or later as its end`, found: timeText(expires) },
  },
  {
    // A stolen station key of the camera line lets no gateway in.
    rule: 'batch-profile',
    judge: (facts) => {
      const good = goodSigners(facts);
      // That no signer is left is another fault.
      const signers = good.length > 0 ? good : (facts.root.stations ?? []);
      const may = new Set(signers.flatMap(({ profiles }) => profiles));
      const more = facts.batch.profiles.filter((profile) => !may.has(profile));
      return more.length === 0
        ? null
        : { expected: `profiles of its station: ${[...may].join(', ')}`, found: more.join(', ') };
    },
  },
  {
    rule: 'batch-count',
    judge: ({ batch: { count, entries } }) => {
      const different = new Set(entries.map(({ ekName }) => ekName)).size;
      return count === entries.length && count === different
        ? null
        : { expected: `${count} different keys`, found: `${entries.length} keys, ${different} different` };
    },
  },
];

/** All that is wrong with a batch now. */
export function batchFaults(facts: BatchFacts, checks: readonly BatchCheck[] = BATCH_CHECKS): BatchFault[] {
  return checks.flatMap((check) => {
    const fault = check.judge(facts);
    return fault === null ? [] : [{ rule: check.rule, ...fault }];
  });
}

/** Reads a file; nothing of it is read that no station of the root, revoked or not, has signed. Never throws for what the file is. */
export function openBatch(file: Uint8Array, root: BatchFacts['root']): SignedBatch | { readonly fault: BatchFault } {
  try {
    const envelope = parseDsse(file, BATCH_BYTES);
    const opened = verifyDsse(envelope, BATCH_TYPE, importKeys(root.stations ?? []));
    if (opened === null) {
      const named = envelope.signatures.map(({ keyid }) => keyid ?? 'unnamed').join(', ');
      const found = shown(`an envelope of type ${envelope.payloadType}, by key ${named}`);
      return { fault: { rule: 'batch-signature', expected: 'the signature of a station of this fleet', found } };
    }
    const limits = { maxBytes: BATCH_BYTES, maxDepth: 6 };
    const batch = parseShape(batchShape, parseJsonStrict(opened.payload, limits), 'batch');
    return { batch, signers: opened.signedBy };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { fault: { rule: 'batch-malformed', expected: 'a batch of a station', found: error.message } };
  }
}

/** As people are shown it. */
export function batchFindings(faults: readonly BatchFault[]): Finding[] {
  return faults.map((fault) => ({ ...fault, status: 'contraindicated', subject: 'batch', source: 'fleet' }));
}
