// The fleet root: who may sign what in this fleet. Made by a threshold of root keys, and the only door to all other keys.
import type { KeyObject } from 'node:crypto';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseFile, parseShape } from '../bytes/shape.ts';
import { toUtf8 } from '../bytes/text.ts';
import { parseDsse, signDsse, verifyDsse } from '../crypto/dsse.ts';
import type { DsseEnvelope, OpenedEnvelope } from '../crypto/dsse.ts';
import { importPublicKey, keyId } from '../crypto/ecdsa.ts';
import { ConfigError, WireError } from '../errors.ts';
import type { Finding } from '../rules/finding.ts';
import { orFault, toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { fleetFileShape, rootStatementShape } from './types.ts';
import type { FleetFile, RootKey, RootStatement } from './types.ts';

export const ROOT_TYPE = 'application/vnd.touchstone.root+json';

/** What this version understands, and so may be marked as critical. */
const FIELDS: ReadonlySet<string> = new Set([
  'fleetId',
  'version',
  'issuedAt',
  'expires',
  'root',
  'publishers',
  'floor',
  'operators',
  'results',
  'enrolmentCaPem',
  'revoked',
]);

/** Who may say what, after every check. Made only by `loadTrust`. */
export interface Trust {
  readonly fleet: FleetFile;
  readonly root: RootStatement;
  readonly version: number;
  /** The root statement was past its end at the time it was loaded: what runs goes on, nothing new is let in. */
  readonly expired: boolean;
  /** Key ids of the root keys that signed. */
  readonly signedBy: readonly string[];
  /** Keys that may sign releases of this model id, revoked ones left out. */
  publishersFor(modelId: string): ReadonlyMap<string, KeyObject>;
  /** Revoked keys left out of all three. */
  readonly resultKeys: ReadonlyMap<string, KeyObject>;
  readonly operatorKeys: ReadonlyMap<string, KeyObject>;
  readonly floorKeys: ReadonlyMap<string, KeyObject>;
}

/** A key as statements name it. */
export function rootKeyOf(key: KeyObject, publicPem: string): RootKey {
  return { id: keyId(key), publicPem };
}

/** Keys by id. Errors: WireError when a PEM is no key of ours, or is not the key that its id names: an id must have one key only. */
export function importKeys(keys: readonly RootKey[]): Map<string, KeyObject> {
  const byId = new Map<string, KeyObject>();
  for (const { id, publicPem } of keys) {
    const key = importPublicKey(publicPem);
    if (keyId(key) !== id) throw new WireError('WIRE_RANGE', 'the id is not that of the key', { field: id, offset: 0 });
    byId.set(id, key);
  }
  return byId;
}

/** A root statement signed by `keys`. Errors: WireError when a field is outside of its shape. */
export function signRoot(statement: RootStatement, keys: readonly KeyObject[]): DsseEnvelope {
  const checked = parseShape(rootStatementShape, statement, 'root');
  return signDsse(ROOT_TYPE, toUtf8(JSON.stringify(checked)), keys);
}

/** Adds one more signature over the same bytes: root keys lie in different places. */
export function countersignRoot(envelope: DsseEnvelope, key: KeyObject): DsseEnvelope {
  const more = signDsse(ROOT_TYPE, Buffer.from(envelope.payload, 'base64'), [key]);
  const others = envelope.signatures.filter((one) => one.keyid !== keyId(key));
  return { ...envelope, signatures: [...others, ...more.signatures] };
}

/** fleet.json's exact bytes. Errors: ConfigError CONFIG_INVALID. */
export function readFleetFile(bytes: Uint8Array, file = 'fleet.json'): FleetFile {
  let json: unknown;
  try {
    json = parseJsonStrict(bytes);
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `${file}: ${cause instanceof Error ? cause.message : 'not JSON'}`, {
      cause,
    });
  }
  return parseFile(fleetFileShape, json, file, 'CONFIG_INVALID');
}

function openRoot(fleet: FleetFile, bytes: Uint8Array): { opened: OpenedEnvelope } | { fault: ReleaseFault } {
  const { threshold, keys } = fleet.root;
  const read = orFault('root-malformed', 'root statement', () =>
    verifyDsse(parseDsse(bytes), ROOT_TYPE, importKeys(keys), threshold),
  );
  if ('fault' in read) return read;
  if (read.value !== null) return { opened: read.value };
  const expected = `valid signatures of ${threshold} of the ${keys.length} root keys in fleet.json`;
  return { fault: { rule: 'root-threshold', expected, found: 'fewer, or an envelope of another type' } };
}

function contentFaults(fleet: FleetFile, root: RootStatement, lastVersion: number): ReleaseFault[] {
  const faults: ReleaseFault[] = [];
  for (const field of root.crit ?? []) {
    if (!FIELDS.has(field)) {
      faults.push({ rule: 'root-critical', expected: 'critical fields of root statement version 1', found: field });
    }
  }
  if (root.fleetId !== fleet.fleetId) {
    faults.push({ rule: 'root-fleet', expected: `fleet ${fleet.fleetId}`, found: `fleet ${root.fleetId}` });
  }
  if (root.version < lastVersion) {
    faults.push({
      rule: 'root-version',
      expected: `version ${lastVersion} or later`,
      found: `version ${root.version}`,
    });
  }
  const all = [...root.root.keys, ...root.publishers, ...root.floor, ...root.operators, ...root.results];
  const imported = orFault('root-malformed', 'key table', () => importKeys(all));
  if ('fault' in imported) faults.push(imported.fault);
  return faults;
}

/** Every fault of a root statement but its age. `lastVersion`: the highest version seen before, or 0. Never throws on bad bytes. */
export function judgeRoot(
  fleet: FleetFile,
  envelope: Uint8Array,
  lastVersion: number,
): { ok: true; root: RootStatement; signedBy: readonly string[] } | { ok: false; findings: Finding[] } {
  const refuse = (faults: readonly ReleaseFault[]): { ok: false; findings: Finding[] } => ({
    ok: false,
    findings: faults.map((fault) => toFinding(fault, 'root', 'fleet')),
  });
  const opened = openRoot(fleet, envelope);
  if ('fault' in opened) return refuse([opened.fault]);
  const { payload, signedBy } = opened.opened;
  const read = orFault('root-malformed', 'root statement', () =>
    parseShape(rootStatementShape, parseJsonStrict(payload), 'root'),
  );
  if ('fault' in read) return refuse([read.fault]);
  const faults = contentFaults(fleet, read.value, lastVersion);
  return faults.length > 0 ? refuse(faults) : { ok: true, root: read.value, signedBy };
}

/**
 * fleet.json and the root statement that its root keys signed. `now`: trusted time, ms; `lastVersion`: the highest version seen
 * before, or 0. Errors: ConfigError CONFIG_INVALID naming every broken rule: without a root there is nobody to believe.
 */
export function loadTrust(fleetFile: Uint8Array, rootEnvelope: Uint8Array, now: number, lastVersion: number): Trust {
  const fleet = readFleetFile(fleetFile);
  const judged = judgeRoot(fleet, rootEnvelope, lastVersion);
  if (!judged.ok) {
    const words = judged.findings.map((one) => `${one.rule} (expected ${one.expected}, found ${one.found})`);
    throw new ConfigError('CONFIG_INVALID', `root.json is not to be trusted: ${words.join('; ')}`);
  }
  const { root, signedBy } = judged;
  const revoked = new Set(root.revoked.map((one) => one.id));
  const live = (keys: readonly RootKey[]): Map<string, KeyObject> =>
    importKeys(keys.filter((one) => !revoked.has(one.id)));
  return {
    fleet,
    root,
    version: root.version,
    expired: now > root.expires,
    signedBy,
    publishersFor: (modelId) => live(root.publishers.filter((one) => one.modelIds.includes(modelId))),
    resultKeys: live(root.results),
    operatorKeys: live(root.operators),
    floorKeys: live(root.floor),
  };
}
