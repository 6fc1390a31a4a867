// Releases that are really signed, by keys of a fleet root made for the test, and a handle on each part that a test may bend.
import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toHex, toUtf8 } from '../../src/bytes/text.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { pae, signDsse } from '../../src/crypto/dsse.ts';
import { generateKey, publicPem, signEcdsa } from '../../src/crypto/ecdsa.ts';
import type { HashPool } from '../../src/files/hash-pool.ts';
import { DEFAULT_IGNORES, ignoring, listModel } from '../../src/release/model-files.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import { encodeBundle } from '../../src/release/oms-bundle.ts';
import { makeStatement, signStatement } from '../../src/release/oms-sign.ts';
import type { StatementOptions } from '../../src/release/oms-sign.ts';
import { IN_TOTO_TYPE } from '../../src/release/oms-statement.ts';
import { keyHint } from '../../src/release/open.ts';
import { encodePassport } from '../../src/release/passport.ts';
import { rootKeyOf, signRoot } from '../../src/release/root-keys.ts';
import { loadTrust } from '../../src/release/root.ts';
import type { Trust } from '../../src/release/root.ts';
import type { FleetFile, Passport, RootKey, RootStatement } from '../../src/release/types.ts';

export const NOW: number = Date.UTC(2026, 6, 1);
export const DAY = 86_400_000;
export const FLEET_ID: string = 'ab'.repeat(16);

export const rootKeys: readonly KeyObject[] = [1, 2, 3].map(() => generateKey('p256').privateKey);
/** Signs `lane-keeper` and `sign-reader`; `other` signs `door-watcher` only; `revoked` signed `lane-keeper` until it was stolen. */
export const publisher: KeyObject = generateKey('p256').privateKey;
export const other: KeyObject = generateKey('p384').privateKey;
export const revoked: KeyObject = generateKey('p256').privateKey;
export const stranger: KeyObject = generateKey('p256').privateKey;
export const operator: KeyObject = generateKey('p256').privateKey;

export const named = (key: KeyObject): RootKey => rootKeyOf(key, publicPem(key));

export const fleetFile: FleetFile = {
  v: 1,
  fleetId: FLEET_ID,
  root: { threshold: 2, keys: rootKeys.map((key) => named(key)) },
  broker: { url: 'mqtts://broker:8883', enrolUrl: 'mqtts://broker:8884', caPem: 'none' },
  minimumTime: NOW - 400 * DAY,
};

export const rootStatement: RootStatement = {
  v: 1,
  fleetId: FLEET_ID,
  version: 3,
  issuedAt: NOW - 30 * DAY,
  expires: NOW + 300 * DAY,
  root: fleetFile.root,
  publishers: [
    { ...named(publisher), modelIds: ['lane-keeper', 'sign-reader'] },
    { ...named(other), modelIds: ['door-watcher'] },
    { ...named(revoked), modelIds: ['lane-keeper'] },
  ],
  floor: [],
  operators: [named(operator)],
  results: [],
  enrolmentCaPem: 'none',
  revoked: [{ id: named(revoked).id, reason: 'stolen', at: NOW - DAY }],
};

export function jsonBytes(value: unknown): Buffer {
  return toUtf8(JSON.stringify(value));
}

export function trustOf(changes: Partial<RootStatement> = {}): Trust {
  const envelope = signRoot({ ...rootStatement, ...changes }, rootKeys.slice(0, 2));
  return loadTrust(jsonBytes(fleetFile), jsonBytes(envelope), NOW, 0);
}

/** Writes files by their relative paths. */
export function writeTree(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

export const FILES: Readonly<Record<string, string>> = {
  'classifier.onnx': 'weights of version 1',
  'labels/en.txt': 'empty road\nperson\nvehicle\n',
  'MODEL_CARD.md': '# Lane keeper\n',
};

export interface ReleasePlan {
  readonly files?: Readonly<Record<string, string>>;
  readonly passport?: Partial<Passport>;
  readonly key?: KeyObject;
  /** Signs model.sig in place of `key`. */
  readonly sigKey?: KeyObject;
  readonly method?: StatementOptions['method'];
  readonly shardBytes?: number;
  readonly ignored?: readonly string[];
}

export interface MadeRelease {
  readonly id: string;
  readonly folder: string;
  readonly passport: Passport;
}

export function signPassport(passport: Passport, keys: readonly KeyObject[]): { id: string; bytes: Buffer } {
  const payload = encodePassport(passport);
  return { id: toHex(sha256(payload)), bytes: jsonBytes(signDsse(IN_TOTO_TYPE, payload, keys)) };
}

/** Makes the release folder `folder`: model/, model.sig, passport.json. */
export async function makeRelease(folder: string, pool: HashPool, plan: ReleasePlan = {}): Promise<MadeRelease> {
  const { files = FILES, key = publisher, ignored = [], method = 'files', shardBytes } = plan;
  const dir = join(folder, 'model');
  writeTree(dir, files);
  const model = await listModel(dir, ignoring([...DEFAULT_IGNORES, ...ignored]));
  const shards = shardBytes === undefined ? {} : { shardBytes };
  const { statement, entries } = await makeStatement(model, { method, ignored, pool, ...shards });
  const passport: Passport = {
    v: 1,
    modelId: 'lane-keeper',
    version: '1.0.0',
    securityVersion: 1,
    slotRole: 'perception',
    hardwareClass: ['edge-x64', 'edge-arm64'],
    minimumAgent: '0.1.0',
    notBefore: null,
    notAfter: null,
    statementDigest: toHex(statement.digest),
    manifestDigest: toHex(manifestDigest(entries)),
    predecessor: null,
    withdraws: [],
    intendedUse: null,
    modelCard: null,
    ...plan.passport,
  };
  const signed = signPassport(passport, [key]);
  writeFileSync(join(folder, 'model.sig'), signStatement(statement, plan.sigKey ?? key));
  writeFileSync(join(folder, 'passport.json'), signed.bytes);
  return { id: signed.id, folder, passport };
}

/** What a statement says, by default of FILES whole and in SHA-256; each part may be bent. */
export interface StatementPlan {
  readonly resources?: readonly { readonly name: string; readonly digest: string; readonly algorithm: string }[];
  readonly serialization?: Readonly<Record<string, unknown>>;
  readonly subject?: unknown;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A statement written by hand: what the product itself would never sign. */
export function handStatement(plan: StatementPlan = {}): Buffer {
  const algorithm = 'sha256';
  const whole = Object.entries(FILES).map(([name, text]) => ({ name, digest: toHex(sha256(toUtf8(text))), algorithm }));
  const resources = plan.resources ?? whole;
  const root = toHex(sha256(Buffer.concat(resources.map(({ digest }) => Buffer.from(digest, 'hex')))));
  return jsonBytes({
    _type: 'https://in-toto.io/Statement/v1',
    subject: plan.subject ?? [{ name: 'model', digest: { sha256: root } }],
    predicateType: 'https://model_signing/signature/v1.0',
    predicate: {
      resources,
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ...plan.serialization },
    },
    ...plan.more,
  });
}

/** model.sig around any payload. */
export function bundleOf(payload: Uint8Array, key: KeyObject = publisher): Buffer {
  return encodeBundle(payload, signEcdsa(key, pae(IN_TOTO_TYPE, payload)), keyHint(key));
}

/** Signs a release again after its statement or passport was bent: the publisher said it, so only a check can refuse it. */
export function signAgain(
  made: MadeRelease,
  payload: Buffer,
  passport: Partial<Passport> = {},
  key: KeyObject = publisher,
): MadeRelease {
  const said = { ...made.passport, statementDigest: toHex(sha256(payload)), ...passport };
  const signed = signPassport(said, [key]);
  writeFileSync(join(made.folder, 'model.sig'), bundleOf(payload, key));
  writeFileSync(join(made.folder, 'passport.json'), signed.bytes);
  return { ...made, id: signed.id, passport: said };
}
