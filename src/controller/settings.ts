// What a controller reads from its state directory when it starts: keys, trust, broker, and how it judges.
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseFile, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromHex, toUtf8 } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { importPrivateKey, keyId } from '../crypto/ecdsa.ts';
import { ConfigError, WireError } from '../errors.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import type { AppraisalPolicy } from '../verifier/types.ts';
import { ChallengeKeys } from './challenge-keys.ts';
import { EkTrustFolder } from './ek-trust.ts';

/** controller.json: times in seconds. */
export interface ControllerFile {
  readonly v: 1;
  readonly maxAgeSeconds: number;
  readonly maxSkewSeconds: number;
  /** A device that said nothing for so long is unreachable. */
  readonly silentAfterSeconds: number;
  /** postgres://USER@HOST/DATABASE of a registry that several controllers share; a file of the state directory if absent. */
  readonly registry?: string;
  /** Where the list of revoked broker certificates is written for the broker, absolute or from the state directory. */
  readonly brokerCrl?: string;
  /** Where what the fleet runs is kept at hand for builds, absolute or from the state directory; absent: nowhere. */
  readonly fleetExport?: string;
  /** Whether a vendor's certificate counts only while revocation lists answer for it and for those above it; `where-given` if absent. */
  readonly ekCrls?: 'where-given' | 'demanded';
  /** `changes`: a record (evidence verify) is kept at each change of a verdict; `asked` if absent: only when somebody asks for one. */
  readonly records?: 'asked' | 'changes';
}

const controllerFileShape: Shape<ControllerFile> = v.strictObject({
  v: v.literal(1),
  maxAgeSeconds: v.pipe(uint(86_400), v.minValue(1)),
  maxSkewSeconds: uint(3600),
  silentAfterSeconds: v.pipe(uint(30 * 86_400), v.minValue(1)),
  registry: v.exactOptional(text(4096)),
  brokerCrl: v.exactOptional(text(4096)),
  fleetExport: v.exactOptional(text(4096)),
  ekCrls: v.exactOptional(v.picklist(['where-given', 'demanded'])),
  records: v.exactOptional(v.picklist(['asked', 'changes'])),
});

export const DEFAULT_CONTROLLER_FILE: ControllerFile = {
  v: 1,
  maxAgeSeconds: 300,
  maxSkewSeconds: 30,
  silentAfterSeconds: 900,
};

export interface Settings {
  readonly stateDir: string;
  readonly file: ControllerFile;
  readonly trust: Trust;
  readonly fleetId: Buffer;
  readonly resultKey: KeyObject;
  readonly operatorKey: KeyObject;
  readonly operatorKeyId: string;
  readonly challenge: ChallengeKeys;
  readonly authority: { readonly commonName: string; readonly key: KeyObject; readonly pem: string };
  readonly tls: { readonly certPem: string; readonly keyPem: string };
  readonly ekTrust: EkTrustFolder;
}

/** Names of the files of a controller's state directory: what `fleet init` writes and the controller reads. */
export const STATE_FILES = {
  controller: 'controller.json',
  fleet: 'fleet.json',
  root: 'root.json',
  resultKey: 'keys/result.key.pem',
  operatorKey: 'keys/operator.key.pem',
  challengeKey: 'keys/challenge.key.hex',
  authorityKey: 'keys/ca.key.pem',
  authority: 'ca.pem',
  tlsKey: 'keys/broker-client.key.pem',
  tlsCertificate: 'broker-client.pem',
  profiles: 'profiles',
  releases: 'releases',
  references: 'references',
  ekRoots: 'ek-roots',
  tokens: 'tokens.json',
  allowed: 'allowed-eks.json',
  batches: 'batches',
  records: 'records',
  registry: 'registry.sqlite',
  mark: 'registry.mark',
  socket: 'control.sock',
} as const;

/** Common name of the certificate authority that `fleet init` makes. */
export const AUTHORITY_NAME = 'touchstone broker authority';

function read(stateDir: string, name: string): Buffer {
  try {
    return readFileSync(join(stateDir, name));
  } catch (cause) {
    throw new ConfigError(
      'CONFIG_MISSING',
      `${join(stateDir, name)} cannot be read: make it with touchstone fleet init`,
      {
        cause,
      },
    );
  }
}

/** A controller.json as it must be. Errors: ConfigError CONFIG_INVALID. */
function readControllerFile(stateDir: string): ControllerFile {
  const file = join(stateDir, STATE_FILES.controller);
  try {
    return parseFile(
      controllerFileShape,
      parseJsonStrict(read(stateDir, STATE_FILES.controller)),
      file,
      'CONFIG_INVALID',
    );
  } catch (cause) {
    if (cause instanceof WireError) throw new ConfigError('CONFIG_INVALID', `${file}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The policy as challenges and verdicts carry it: its digest binds a verdict to the numbers it was judged by. */
export function policyOf(settings: Pick<Settings, 'file' | 'challenge'>, leaseForMs: number): AppraisalPolicy {
  const { maxAgeSeconds, maxSkewSeconds } = settings.file;
  return {
    maxAgeMs: maxAgeSeconds * 1000,
    maxSkewMs: maxSkewSeconds * 1000,
    leaseForMs,
    digest: sha256(toUtf8(JSON.stringify(['touchstone/policy/1', maxAgeSeconds, maxSkewSeconds, leaseForMs]))),
    challengeKeys: settings.challenge.keys,
  };
}

/** Errors: ConfigError CONFIG_INVALID when the root does not name, or has revoked, a key that this controller signs with. */
export function assertNamed(
  { stateDir, resultKey, operatorKey }: Pick<Settings, 'stateDir' | 'resultKey' | 'operatorKey'>,
  trust: Trust,
): void {
  if (trust.resultKeys.has(keyId(resultKey)) && trust.operatorKeys.has(keyId(operatorKey))) return;
  throw new ConfigError('CONFIG_INVALID', `${stateDir}: the root statement does not name this controller's keys`);
}

/** Reads everything. Errors: ConfigError naming the file. */
export function loadSettings(stateDir: string, now: number): Settings {
  const key = (name: string): KeyObject => importPrivateKey(read(stateDir, name).toString('utf8'));
  const trust = loadTrust(read(stateDir, STATE_FILES.fleet), read(stateDir, STATE_FILES.root), now, 0);
  const resultKey = key(STATE_FILES.resultKey);
  const operatorKey = key(STATE_FILES.operatorKey);
  assertNamed({ stateDir, resultKey, operatorKey }, trust);
  return {
    stateDir,
    file: readControllerFile(stateDir),
    trust,
    fleetId: fromHex(trust.fleet.fleetId),
    resultKey,
    operatorKey,
    operatorKeyId: keyId(operatorKey),
    challenge: new ChallengeKeys(fromHex(read(stateDir, STATE_FILES.challengeKey).toString('utf8').trim())),
    authority: {
      commonName: AUTHORITY_NAME,
      key: key(STATE_FILES.authorityKey),
      pem: read(stateDir, STATE_FILES.authority).toString('utf8'),
    },
    tls: {
      certPem: read(stateDir, STATE_FILES.tlsCertificate).toString('utf8'),
      keyPem: read(stateDir, STATE_FILES.tlsKey).toString('utf8'),
    },
    ekTrust: new EkTrustFolder(join(stateDir, STATE_FILES.ekRoots)),
  };
}
