// The fleet root: who may sign what in this fleet. Made by a threshold of root keys, and the only door to all other keys.
import type { KeyObject } from 'node:crypto';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseFile } from '../bytes/shape.ts';
import { ConfigError } from '../errors.ts';
import type { Finding } from '../rules/finding.ts';
import { orFault, toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { judgeChain, parseRootFile } from './root-chain.ts';
import type { RootLink } from './root-chain.ts';
import { importKeys } from './root-keys.ts';
import { fleetFileShape } from './types.ts';
import type { FleetFile, RootKey, RootStatement } from './types.ts';

/** Who may say what, after every check. Made only by `loadTrust`. */
export interface Trust {
  readonly fleet: FleetFile;
  /** Statements that lead from fleet.json to `root`, `root` the last: what a root.json carries. */
  readonly links: readonly RootLink[];
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

function refusal(faults: readonly ReleaseFault[]): { ok: false; findings: Finding[] } {
  return { ok: false, findings: faults.map((fault) => toFinding(fault, 'root', 'fleet')) };
}

type JudgedChain = { ok: true; links: readonly RootLink[] } | { ok: false; findings: Finding[] };

function judgeFile(
  fleet: FleetFile,
  file: Uint8Array,
  options: { readonly known?: readonly RootLink[]; readonly least?: number },
): JudgedChain {
  const read = orFault('root-malformed', 'root statement', () => parseRootFile(file));
  if ('fault' in read) return refusal([read.fault]);
  const judged = judgeChain(fleet, read.value, options);
  return 'faults' in judged ? refusal(judged.faults) : { ok: true, links: judged.links };
}

/** Every fault of a root.json but its age. `lastVersion`: the highest version seen before, or 0. Never throws on bad bytes. */
export function judgeRoot(
  fleet: FleetFile,
  file: Uint8Array,
  lastVersion: number,
): { ok: true; root: RootStatement; signedBy: readonly string[] } | { ok: false; findings: Finding[] } {
  const judged = judgeFile(fleet, file, { least: lastVersion });
  if (!judged.ok) return judged;
  const { root, signedBy } = lastOf(judged.links);
  return { ok: true, root, signedBy };
}

function lastOf(links: readonly RootLink[]): RootLink {
  const last = links.at(-1);
  if (last === undefined) throw new TypeError('a chain that was judged holds a statement');
  return last;
}

function trustFrom(fleet: FleetFile, links: readonly RootLink[], now: number): Trust {
  const { root, signedBy } = lastOf(links);
  const revoked = new Set(root.revoked.map((one) => one.id));
  const live = (keys: readonly RootKey[]): Map<string, KeyObject> =>
    importKeys(keys.filter((one) => !revoked.has(one.id)));
  return {
    fleet,
    links,
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

/**
 * fleet.json and the root.json that its root keys signed. `now`: trusted time, ms; `lastVersion`: the highest version seen
 * before, or 0. Errors: ConfigError CONFIG_INVALID naming every broken rule: without a root there is nobody to believe.
 */
export function loadTrust(fleetFile: Uint8Array, rootFile: Uint8Array, now: number, lastVersion: number): Trust {
  const fleet = readFleetFile(fleetFile);
  const judged = judgeFile(fleet, rootFile, { least: lastVersion });
  if (!judged.ok) {
    const words = judged.findings.map((one) => `${one.rule} (expected ${one.expected}, found ${one.found})`);
    throw new ConfigError('CONFIG_INVALID', `root.json is not to be trusted: ${words.join('; ')}`);
  }
  return trustFrom(fleet, judged.links, now);
}

/**
 * What is newer in `rootFile`, proved by the statement that is believed already. The same `trust` when nothing is newer; findings when
 * something is wrong with what follows. Never throws on bad bytes.
 */
export function extendTrust(
  trust: Trust,
  rootFile: Uint8Array,
  now: number,
): { ok: true; trust: Trust } | { ok: false; findings: Finding[] } {
  const judged = judgeFile(trust.fleet, rootFile, { known: trust.links });
  if (!judged.ok) return judged;
  const isNewer = lastOf(judged.links).root.version > trust.version;
  return { ok: true, trust: isNewer ? trustFrom(trust.fleet, judged.links, now) : trust };
}
