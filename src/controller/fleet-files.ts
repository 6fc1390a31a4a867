// Makes a fleet: every key of the key table, fleet.json, the root statement, and the controller's and broker's files.
import { randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { issueCertificate, makeAuthority, makeRevocationList } from '../crypto/certificates.ts';
import { generateKey, keyId, publicPem } from '../crypto/ecdsa.ts';
import { ConfigError } from '../errors.ts';
import { rootKeyOf, signRoot } from '../release/root-keys.ts';
import type { FleetFile, RootStatement } from '../release/types.ts';
import { crlTimes } from './broker-crl.ts';
import { brokerConfig, CONTROLLER_NAME, ENROL_ACL, FLEET_ACL } from './broker-config.ts';
import { EK_FOLDERS } from './ek-trust.ts';
import { AUTHORITY_NAME, DEFAULT_CONTROLLER_FILE, STATE_FILES } from './settings.ts';

export interface FleetPlan {
  readonly dir: string;
  readonly modelIds: readonly string[];
  /** Host name or address under which devices and controller reach the broker. */
  readonly brokerHost: string;
  readonly bind: string;
  readonly fleetPort: number;
  readonly enrolPort: number;
  /** Whom the broker becomes when root starts it; absent: its own choice. */
  readonly brokerUser?: string;
  readonly rootKeys: number;
  readonly threshold: number;
  readonly now: number;
}

const DAY_MS = 86_400_000;
const ROOT_DAYS = 5 * 365;
const CERTIFICATE_DAYS = 10 * 365;

type Key = ReturnType<typeof generateKey>['privateKey'];

class Files {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  path(name: string): string {
    return resolve(this.#dir, name);
  }

  write(name: string, content: string, mode: number): void {
    mkdirSync(dirname(this.path(name)), { recursive: true, mode: 0o700 });
    writeFileSync(this.path(name), content, { mode, flag: 'wx' });
  }

  secret(name: string, key: Key): void {
    this.write(name, key.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  }

  json(name: string, value: unknown): void {
    this.write(name, `${JSON.stringify(value, null, 2)}\n`, 0o644);
  }
}

function brokerFiles(files: Files, plan: FleetPlan, authority: { commonName: string; key: Key }, caPem: string): void {
  const server = generateKey('p256');
  const certificate = issueCertificate(
    {
      commonName: plan.brokerHost,
      publicKey: server.publicKey,
      notBefore: plan.now - DAY_MS,
      notAfter: plan.now + CERTIFICATE_DAYS * DAY_MS,
      use: 'server',
      names: [...new Set([plan.brokerHost, 'localhost', '127.0.0.1'])],
    },
    authority,
  );
  files.write('broker/ca.pem', caPem, 0o644);
  files.write('broker/server.pem', certificate, 0o644);
  files.secret('broker/server.key.pem', server.privateKey);
  const nobody = { ...crlTimes(plan.now), number: 0, revoked: [] };
  files.write('broker/revoked.crl.pem', makeRevocationList(nobody, authority), 0o644);
  files.write('broker/fleet.acl', FLEET_ACL, 0o600);
  files.write('broker/enrol.acl', ENROL_ACL, 0o600);
  const config = brokerConfig({
    bind: plan.bind,
    fleetPort: plan.fleetPort,
    enrolPort: plan.enrolPort,
    ...(plan.brokerUser === undefined ? {} : { user: plan.brokerUser }),
    paths: {
      caFile: files.path('broker/ca.pem'),
      certFile: files.path('broker/server.pem'),
      keyFile: files.path('broker/server.key.pem'),
      crlFile: files.path('broker/revoked.crl.pem'),
      fleetAcl: files.path('broker/fleet.acl'),
      enrolAcl: files.path('broker/enrol.acl'),
    },
  });
  files.write('broker/mosquitto.conf', config, 0o644);
}

/** What a controller of this name shows the broker. */
export function controllerClient(
  commonName: string,
  authority: { readonly commonName: string; readonly key: KeyObject },
  now: number,
): { readonly privateKey: KeyObject; readonly certPem: string } {
  const { privateKey, publicKey } = generateKey('p256');
  const span = { notBefore: now - DAY_MS, notAfter: now + CERTIFICATE_DAYS * DAY_MS };
  const certPem = issueCertificate({ ...span, commonName, publicKey, use: 'client', names: [] }, authority);
  return { privateKey, certPem };
}

function controllerFiles(
  files: Files,
  plan: FleetPlan,
  authority: { commonName: string; key: Key },
  caPem: string,
): void {
  const state = (name: string): string => `controller/${name}`;
  const client = controllerClient(CONTROLLER_NAME, authority, plan.now);
  files.json(state(STATE_FILES.controller), { ...DEFAULT_CONTROLLER_FILE, brokerCrl: '../broker/revoked.crl.pem' });
  files.write(state(STATE_FILES.authority), caPem, 0o644);
  files.secret(state(STATE_FILES.authorityKey), authority.key);
  files.secret(state(STATE_FILES.tlsKey), client.privateKey);
  files.write(state(STATE_FILES.tlsCertificate), client.certPem, 0o644);
  files.write(state(STATE_FILES.challengeKey), `${randomBytes(32).toString('hex')}\n`, 0o600);
  for (const folder of [
    STATE_FILES.profiles,
    STATE_FILES.releases,
    STATE_FILES.references,
    ...Object.keys(EK_FOLDERS).map((name) => `${STATE_FILES.ekRoots}/${name}`),
  ]) {
    mkdirSync(files.path(state(folder)), { recursive: true, mode: 0o700 });
  }
}

function fleetFile(plan: FleetPlan, rootKeys: readonly Key[], caPem: string): FleetFile {
  return {
    v: 1,
    fleetId: randomBytes(16).toString('hex'),
    root: { threshold: plan.threshold, keys: rootKeys.map((key) => rootKeyOf(key, publicPem(key))) },
    broker: {
      url: `mqtts://${plan.brokerHost}:${plan.fleetPort}`,
      enrolUrl: `mqtts://${plan.brokerHost}:${plan.enrolPort}`,
      caPem,
    },
    minimumTime: plan.now,
  };
}

/** What a new fleet consists of, for the person who made it. */
export interface NewFleet {
  readonly fleetId: string;
  readonly publisherKeyId: string;
  readonly rootKeyIds: readonly string[];
}

/**
 * Writes DIR/root (offline keys), DIR/publisher, DIR/controller (its --state), DIR/broker and DIR/device (what ships in firmware).
 * Secret files are 0600. Errors: ConfigError CONFIG_INVALID when DIR holds a fleet already; nothing is ever overwritten.
 */
export function makeFleet(plan: FleetPlan): NewFleet {
  if (existsSync(join(plan.dir, 'device', STATE_FILES.fleet))) {
    throw new ConfigError('CONFIG_INVALID', `${plan.dir} holds a fleet already: choose another folder`);
  }
  if (plan.threshold < 1 || plan.threshold > plan.rootKeys) {
    throw new ConfigError('CONFIG_INVALID', `a threshold of ${plan.threshold} does not fit ${plan.rootKeys} root keys`);
  }
  const files = new Files(plan.dir);
  const roots = Array.from({ length: plan.rootKeys }, () => generateKey('p256').privateKey);
  const [publisher, floor, recovery, escrow, operator, result, ca] = [0, 0, 0, 0, 0, 0, 0].map(
    () => generateKey('p256').privateKey,
  ) as [Key, Key, Key, Key, Key, Key, Key];
  const authority = { commonName: AUTHORITY_NAME, key: ca };
  const caPem = makeAuthority(AUTHORITY_NAME, ca, plan.now - DAY_MS, plan.now + CERTIFICATE_DAYS * DAY_MS);
  const fleet = fleetFile(plan, roots, caPem);
  const named = (key: Key): { id: string; publicPem: string } => rootKeyOf(key, publicPem(key));
  const statement: RootStatement = {
    v: 1,
    fleetId: fleet.fleetId,
    version: 1,
    issuedAt: plan.now,
    expires: plan.now + ROOT_DAYS * DAY_MS,
    root: fleet.root,
    publishers: [{ ...named(publisher), modelIds: plan.modelIds }],
    floor: [named(floor)],
    floorRecovery: named(recovery),
    escrow: named(escrow),
    operators: [named(operator)],
    results: [named(result)],
    enrolmentCaPem: caPem,
    revoked: [],
  };
  const envelope = signRoot(statement, roots.slice(0, plan.threshold));
  for (const [i, key] of roots.entries()) files.secret(`root/root-${i + 1}.key.pem`, key);
  files.secret('root/floor.key.pem', floor);
  files.secret('root/floor-recovery.key.pem', recovery);
  files.secret('root/escrow.key.pem', escrow);
  files.secret('publisher/publisher.key.pem', publisher);
  files.write('publisher/publisher.pub.pem', publicPem(publisher), 0o644);
  files.secret(`controller/${STATE_FILES.resultKey}`, result);
  files.secret(`controller/${STATE_FILES.operatorKey}`, operator);
  controllerFiles(files, plan, authority, caPem);
  brokerFiles(files, plan, authority, caPem);
  for (const place of ['controller', 'device']) {
    files.json(`${place}/${STATE_FILES.fleet}`, fleet);
    files.json(`${place}/${STATE_FILES.root}`, envelope);
  }
  return { fleetId: fleet.fleetId, publisherKeyId: keyId(publisher), rootKeyIds: roots.map(keyId) };
}
