// A fleet in a temporary folder as `fleet init` makes it: keys, fleet.json, broker on free ports, profile, signed releases.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import type { KeyObject } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { toHex, toUtf8 } from '../../src/bytes/text.ts';
import { makeFleet } from '../../src/controller/fleet-files.ts';
import { AUTHORITY_NAME } from '../../src/controller/settings.ts';
import { issueCertificate } from '../../src/crypto/certificates.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import { generateKey, importPrivateKey } from '../../src/crypto/ecdsa.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Profile } from '../../src/profile/profile.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import { listModel } from '../../src/release/model-files.ts';
import { IN_TOTO_TYPE } from '../../src/release/oms-statement.ts';
import { makeStatement, signStatement } from '../../src/release/oms-sign.ts';
import { encodePassport } from '../../src/release/passport.ts';
import type { Passport } from '../../src/release/types.ts';
import { freePorts, startBroker } from './broker.ts';
import type { TestBroker } from './broker.ts';

export const MODEL_ID = 'demo-model';

/** A profile for quick tests; times in seconds. */
export const TEST_PROFILE: Profile = {
  v: 1,
  id: 'test-edge',
  hardwareClass: 'development',
  tpm: { tcti: 'auto', bank: 'sha256', eventPcr: 14, bootPcrs: [0, 7], ownership: 'shared' },
  slots: [
    {
      name: 'detector',
      role: 'detector',
      modelIds: [MODEL_ID],
      configs: [],
      required: true,
      onFailure: 'stop',
      onLeaseExpired: 'stop',
    },
  ],
  runtime: null,
  maxDetectionSeconds: 10,
  attestEverySeconds: 30,
  leaseSeconds: 300,
};

export interface FleetOptions {
  readonly profile?: Profile;
  /** Laid over the default, controller.json; times in seconds. */
  readonly controller?: Readonly<Record<string, number | string>>;
  /** The broker's name in fleet.json, 127.0.0.1 by default; `localhost` where a device knows it as another address. */
  readonly brokerHost?: string;
}

export interface TestRelease {
  readonly id: string;
  /** RELEASE/{model/, model.sig, passport.json}, in the controller's releases folder. */
  readonly folder: string;
  readonly passport: Passport;
  /** SHA-256 of the OMS statement and of the canonical manifest. */
  readonly statement: Buffer;
  readonly manifest: Buffer;
  /** Paths in the model, and the SHA-256 of each. */
  readonly files: readonly string[];
  readonly digests: ReadonlyMap<string, Uint8Array>;
}

export interface ReleaseOptions {
  readonly version?: string;
  readonly securityVersion?: number;
  /** Path in the model → content. */
  readonly files?: Readonly<Record<string, string>>;
  readonly passport?: Partial<Passport>;
  /** Another signer than the fleet's publisher. */
  readonly key?: KeyObject;
  /** Where the folder goes; by default into the controller's releases. */
  readonly into?: string;
}

/** The files of a fleet; see `makeTestFleet`. */
export class TestFleet implements AsyncDisposable {
  readonly dir: string;
  readonly fleetId: string;
  /** --state of the controller, and --fleet of a device. */
  readonly controllerDir: string;
  readonly deviceDir: string;
  readonly profileFile: string;
  readonly profile: Profile;
  readonly fleetPort: number;
  readonly enrolPort: number;
  readonly caPem: string;

  constructor(dir: string, fleetId: string, profile: Profile, ports: { fleet: number; enrol: number }) {
    this.dir = dir;
    this.fleetId = fleetId;
    this.controllerDir = join(dir, 'controller');
    this.deviceDir = join(dir, 'device');
    this.profile = profile;
    this.profileFile = join(this.controllerDir, 'profiles', `${profile.id}.json`);
    this.fleetPort = ports.fleet;
    this.enrolPort = ports.enrol;
    this.caPem = readFileSync(join(this.controllerDir, 'ca.pem'), 'utf8');
  }

  get url(): string {
    return `mqtts://127.0.0.1:${this.fleetPort}`;
  }

  get enrolUrl(): string {
    return `mqtts://127.0.0.1:${this.enrolPort}`;
  }

  /** A private key of the fleet, by its path in the fleet's folder: `publisher/publisher.key.pem`. */
  key(path: string): KeyObject {
    return importPrivateKey(readFileSync(join(this.dir, path), 'utf8'));
  }

  get publisherKey(): KeyObject {
    return this.key('publisher/publisher.key.pem');
  }

  async startBroker(): Promise<TestBroker> {
    return startBroker(join(this.dir, 'broker/mosquitto.conf'), [this.fleetPort, this.enrolPort]);
  }

  /** A client certificate of the fleet's authority for any name, as an approved device gets one. */
  clientCertificate(commonName: string): { readonly certPem: string; readonly keyPem: string } {
    const { privateKey, publicKey } = generateKey('p256');
    const now = Date.now();
    const leaf = { commonName, publicKey, notBefore: now - 3_600_000, notAfter: now + 3_600_000, names: [] };
    const authority = { commonName: AUTHORITY_NAME, key: this.key('controller/keys/ca.key.pem') };
    return {
      certPem: issueCertificate({ ...leaf, use: 'client' }, authority),
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }

  /** Makes, signs and publishes a release. */
  async release(options: ReleaseOptions = {}): Promise<TestRelease> {
    const { version = '1.0.0', securityVersion = 1, files = { 'model.bin': `model ${version}` } } = options;
    const folder = await mkdtemp(join(options.into ?? join(this.controllerDir, 'releases'), 'release-'));
    const model = join(folder, 'model');
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(model, path)), { recursive: true });
      await writeFile(join(model, path), content);
    }
    await using pool = new HashPool();
    const listed = await listModel(model, () => false);
    const { statement, entries } = await makeStatement(listed, { method: 'files', ignored: [], pool });
    const passport: Passport = {
      v: 1,
      modelId: MODEL_ID,
      version,
      securityVersion,
      slotRole: 'detector',
      hardwareClass: ['development'],
      minimumAgent: '0.1.0',
      notBefore: null,
      notAfter: null,
      statementDigest: toHex(statement.digest),
      manifestDigest: toHex(manifestDigest(entries)),
      predecessor: null,
      withdraws: [],
      intendedUse: null,
      modelCard: null,
      ...options.passport,
    };
    const payload = encodePassport(passport);
    const key = options.key ?? this.publisherKey;
    await writeFile(join(folder, 'model.sig'), signStatement(statement, key));
    await writeFile(join(folder, 'passport.json'), JSON.stringify(signDsse(IN_TOTO_TYPE, payload, [key])));
    return {
      id: toHex(sha256(payload)),
      folder,
      passport,
      statement: statement.digest,
      manifest: manifestDigest(entries),
      files: entries.map(({ path }) => path),
      digests: new Map(entries.map(({ path, sha256: digest }) => [path, digest])),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Makes a fleet with one profile and no release. No process is started. */
export async function makeTestFleet(options: FleetOptions = {}): Promise<TestFleet> {
  const parent = await mkdtemp(join(tmpdir(), 'fleet-'));
  const [fleet = 0, enrol = 0] = await freePorts(2);
  const profile = options.profile ?? TEST_PROFILE;
  const made = makeFleet({
    dir: parent,
    modelIds: [...new Set(profile.slots.flatMap((slot) => slot.modelIds))],
    brokerHost: options.brokerHost ?? '127.0.0.1',
    bind: '127.0.0.1',
    fleetPort: fleet,
    enrolPort: enrol,
    brokerUser: userInfo().username,
    rootKeys: 1,
    threshold: 1,
    now: Date.now(),
  });
  const test = new TestFleet(parent, made.fleetId, profile, { fleet, enrol });
  const bytes = toUtf8(JSON.stringify(profile, null, 2));
  await writeFile(test.profileFile, bytes);
  await writeFile(join(test.deviceDir, 'profile.json'), bytes);
  if (options.controller !== undefined) {
    const file = join(test.controllerDir, 'controller.json');
    const defaults = JSON.parse(readFileSync(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...defaults, ...options.controller }));
  }
  return test;
}
