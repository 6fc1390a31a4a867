// One root statement after the one before it: signed by whom that one named and by whom it names itself, and never older.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape } from '../bytes/shape.ts';
import { verifyDsse } from '../crypto/dsse.ts';
import type { DsseEnvelope, OpenedEnvelope } from '../crypto/dsse.ts';
import { orFault } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import type { Check } from './open-checks.ts';
import { importKeys, keysOf, ROOT_TYPE } from './root-keys.ts';
import { rootStatementShape } from './types.ts';
import type { FleetFile, RootKey, RootStatement } from './types.ts';

/** What this version understands, and so may be marked as critical. */
const FIELDS: Readonly<Record<Exclude<keyof RootStatement, 'v' | 'crit'>, true>> = {
  fleetId: true,
  version: true,
  issuedAt: true,
  expires: true,
  root: true,
  publishers: true,
  releaseThresholds: true,
  floor: true,
  floorRecovery: true,
  escrow: true,
  stations: true,
  operators: true,
  results: true,
  enrolmentCaPem: true,
  revoked: true,
};

/** Root keys that count, and how many of them must sign. */
export interface RootSigners {
  readonly threshold: number;
  readonly keys: readonly RootKey[];
}

/** Who decides after fleet.json, or after a statement: its root keys without those that it revokes. */
export function rootSigners(said: FleetFile | RootStatement): RootSigners {
  const gone = new Set('revoked' in said ? said.revoked.map((one) => one.id) : []);
  return { threshold: said.root.threshold, keys: said.root.keys.filter((one) => !gone.has(one.id)) };
}

/** Ids of those of `keys` that signed; keys that cannot be read sign nothing. */
export function signersAmong(envelope: DsseEnvelope, keys: readonly RootKey[]): readonly string[] {
  const read = orFault('root-malformed', 'root statement', () => verifyDsse(envelope, ROOT_TYPE, importKeys(keys)));
  return 'fault' in read ? [] : (read.value?.signedBy ?? []);
}

/** A statement that those before it signed, and what it is held against. */
export interface LinkFacts {
  readonly root: RootStatement;
  readonly envelope: DsseEnvelope;
  readonly fleetId: string;
  /** Lowest version that is not a step back. */
  readonly least: number;
}

/** What is asked once enough of the keys before have signed. */
export const LINK_CHECKS: readonly Check<LinkFacts>[] = [
  {
    // Who takes over must be able to: a typing error in the new keys would leave a fleet that nobody can ever re-root.
    rule: 'root-threshold',
    judge: ({ root, envelope }) => {
      const { threshold, keys } = rootSigners(root);
      if (signersAmong(envelope, keys).length >= threshold) return [];
      const expected = `valid signatures of ${threshold} of the ${keys.length} root keys that it names and does not revoke`;
      return [{ rule: 'root-threshold', expected, found: 'fewer' }];
    },
  },
  {
    rule: 'root-critical',
    judge: ({ root }) =>
      (root.crit ?? [])
        .filter((field) => !Object.hasOwn(FIELDS, field))
        .map((found) => ({ rule: 'root-critical', expected: 'critical fields of root statement version 1', found })),
  },
  {
    rule: 'root-fleet',
    judge: ({ root, fleetId }) =>
      root.fleetId === fleetId
        ? []
        : [{ rule: 'root-fleet', expected: `fleet ${fleetId}`, found: `fleet ${root.fleetId}` }],
  },
  {
    rule: 'root-version',
    judge: ({ root, least }) =>
      root.version >= least
        ? []
        : [{ rule: 'root-version', expected: `version ${least} or later`, found: `version ${root.version}` }],
  },
  {
    rule: 'root-malformed',
    judge: ({ root }) => {
      const imported = orFault('root-malformed', 'key table', () => importKeys(keysOf(root)));
      return 'fault' in imported ? [imported.fault] : [];
    },
  },
];

/** Opened when enough of `signers` signed; nothing of it is read before. */
function openLink(
  envelope: DsseEnvelope,
  { threshold, keys }: RootSigners,
  named: string,
): OpenedEnvelope | { fault: ReleaseFault } {
  const read = orFault('root-malformed', 'root statement', () =>
    verifyDsse(envelope, ROOT_TYPE, importKeys(keys), threshold),
  );
  if ('fault' in read) return read;
  if (read.value !== null) return read.value;
  const expected = `valid signatures of ${threshold} of the ${keys.length} root keys in ${named}`;
  return { fault: { rule: 'root-threshold', expected, found: 'fewer, or an envelope of another type' } };
}

/** The statement in an envelope; who signed it was not asked. */
export function readRoot(payload: Uint8Array): { value: RootStatement } | { fault: ReleaseFault } {
  return orFault('root-malformed', 'root statement', () =>
    parseShape(rootStatementShape, parseJsonStrict(payload), 'root'),
  );
}

export interface LinkPlace {
  /** What it follows: fleet.json, or a statement. */
  readonly after: FleetFile | RootStatement;
  readonly fleetId: string;
  readonly least: number;
}

/** Every fault of one statement but its age. Never throws on bad bytes. */
export function judgeLink(
  envelope: DsseEnvelope,
  { after, fleetId, least }: LinkPlace,
  checks: readonly Check<LinkFacts>[],
): { root: RootStatement; signedBy: readonly string[] } | { faults: readonly ReleaseFault[] } {
  const named = 'version' in after ? `root statement ${after.version}` : 'fleet.json';
  const opened = openLink(envelope, rootSigners(after), named);
  if ('fault' in opened) return { faults: [opened.fault] };
  const read = readRoot(opened.payload);
  if ('fault' in read) return { faults: [read.fault] };
  const root = read.value;
  const faults = checks.flatMap((check) => check.judge({ root, envelope, fleetId, least }));
  return faults.length > 0 ? { faults } : { root, signedBy: opened.signedBy };
}
