// What the controller says with a signature: results, commands, instructions, endorsements, each a DSSE envelope of its own type.
import type { KeyObject } from 'node:crypto';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { hexString, name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { toUtf8 } from '../bytes/text.ts';
import { parseDsse, signDsse, signDsseBy, verifyDsse } from '../crypto/dsse.ts';
import type { KeyWork } from '../crypto/key-threads.ts';
import { WireError } from '../errors.ts';
import { assertCritical, fieldsOf } from '../evidence/message.ts';
import { STATUSES } from '../rules/finding.ts';
import { ASSURANCES } from './messages.ts';
import type { Command, Endorsement, Instruction, ResultStatement, StatedFinding } from './messages.ts';

const MAX_BYTES = 256 * 1024;

const findingShape: Shape<StatedFinding> = v.object({
  rule: name,
  status: v.picklist(STATUSES),
  subject: text(64),
  expected: v.pipe(v.string(), v.maxLength(4096)),
  found: v.pipe(v.string(), v.maxLength(4096)),
  source: text(128),
});

const resultShape: Shape<ResultStatement> = v.object({
  v: v.literal(1),
  fleetId: hexString(16),
  deviceId: text(64),
  evidence: hexString(32),
  status: v.picklist(STATUSES),
  assurance: v.picklist(ASSURANCES),
  slots: v.pipe(v.array(v.object({ slot: name, status: v.picklist(STATUSES) })), v.maxLength(32)),
  findings: v.pipe(v.array(findingShape), v.maxLength(256)),
  appraisedAt: uint(),
  leaseForMs: uint(),
  exp: uint(),
  acknowledged: v.pipe(v.array(v.object({ session: hexString(16), n: uint() })), v.maxLength(64)),
  escrowed: v.exactOptional(hexString(32)),
});

const commandShape: Shape<Command> = v.object({
  v: v.literal(1),
  fleetId: hexString(16),
  deviceId: text(64),
  session: hexString(16),
  seq: uint(),
  id: text(64),
  body: v.variant('kind', [
    v.strictObject({
      kind: v.literal('install'),
      slot: name,
      order: uint(),
      release: hexString(32),
      source: v.nullable(text(4096)),
    }),
    v.strictObject({ kind: v.literal('measure'), order: uint() }),
    v.strictObject({ kind: v.literal('floors'), order: uint(), token: text(4096) }),
  ]),
});

const instructionShape: Shape<Instruction> = v.object({
  v: v.literal(1),
  fleetId: hexString(16),
  deviceId: text(64),
  id: text(64),
  slot: name,
  order: uint(),
  release: hexString(32),
  notAfter: uint(),
  challenge: hexString(32),
});

const endorsementShape: Shape<Endorsement> = v.object({
  v: v.literal(1),
  fleetId: hexString(16),
  deviceId: text(64),
  ekPublic: v.pipe(v.string(), v.maxLength(2048), v.regex(/^(?:[0-9a-f]{2})+$/)),
  akPublic: v.pipe(v.string(), v.maxLength(2048), v.regex(/^(?:[0-9a-f]{2})+$/)),
  akQualifiedName: hexString(34),
  tier: v.picklist(['hardware', 'pinned', 'software']),
  tpm: v.nullable(
    v.object({
      manufacturer: v.pipe(v.string(), v.maxLength(64)),
      model: v.pipe(v.string(), v.maxLength(64)),
      version: v.pipe(v.string(), v.maxLength(64)),
    }),
  ),
  chain: v.pipe(
    v.array(v.object({ subject: v.pipe(v.string(), v.maxLength(512)), sha256: hexString(32) })),
    v.maxLength(8),
  ),
  profile: name,
  approvedBy: text(128),
  issuedAt: uint(),
});

/** Each kind of statement with its payload. */
export interface Statements {
  readonly result: ResultStatement;
  readonly command: Command;
  readonly instruction: Instruction;
  readonly endorsement: Endorsement;
}
export type StatementKind = keyof Statements;

/** The shape of each payload. */
export const STATEMENT_SHAPES: { readonly [K in StatementKind]: Shape<Statements[K]> } = {
  result: resultShape,
  command: commandShape,
  instruction: instructionShape,
  endorsement: endorsementShape,
};

/** The DSSE payload type; a signature for one kind is never one for another. */
export function payloadType(kind: StatementKind): string {
  return `application/vnd.touchstone.${kind}+json`;
}

/** The envelope as JSON text. */
export function signStatement<K extends StatementKind>(kind: K, statement: Statements[K], key: KeyObject): string {
  return JSON.stringify(signDsse(payloadType(kind), toUtf8(JSON.stringify(statement)), [key]));
}

/** The same, signed by way of `keys` on another thread: for who signs many at once. */
export async function signStatementBy<K extends StatementKind>(
  keys: Pick<KeyWork, 'sign'>,
  kind: K,
  statement: Statements[K],
  key: KeyObject,
): Promise<string> {
  return JSON.stringify(await signDsseBy(keys, payloadType(kind), toUtf8(JSON.stringify(statement)), key));
}

/** The statement, or null when none of `keys` signed these bytes for this purpose, or they say what we do not know. */
export function openStatement<K extends StatementKind>(
  kind: K,
  envelope: Uint8Array,
  keys: ReadonlyMap<string, KeyObject>,
): Statements[K] | null {
  try {
    const opened = verifyDsse(parseDsse(envelope, MAX_BYTES), payloadType(kind), keys);
    if (opened === null) return null;
    const payload = parseJsonStrict(opened.payload);
    assertCritical(payload, fieldsOf(STATEMENT_SHAPES[kind]), kind);
    return parseShape(STATEMENT_SHAPES[kind], payload, kind);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
