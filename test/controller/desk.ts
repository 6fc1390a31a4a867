// The controller's enrolment desk with a registry of its own, and the steps of an honest device at it.
import { createSecretKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { systemClock } from '../../src/clock.ts';
import { Admission } from '../../src/controller/admission.ts';
import { BatchShelf } from '../../src/controller/batch-shelf.ts';
import { openAllowList } from '../../src/controller/allow-list.ts';
import type { AllowList } from '../../src/controller/allow-list.ts';
import { CertificateOffice } from '../../src/controller/certificate-office.ts';
import { EnrolmentDesk } from '../../src/controller/enrolment.ts';
import { loadReferences } from '../../src/controller/references.ts';
import type { References } from '../../src/controller/references.ts';
import type { Registry } from '../../src/controller/registry.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import type { Settings } from '../../src/controller/settings.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { Tokens } from '../../src/controller/tokens.ts';
import { hmacSha256, sha256 } from '../../src/crypto/digest.ts';
import { enrolQualifyingData } from '../../src/evidence/binding.ts';
import { decodeEnrolCredential, decodeEnrolOutcome, encodeEnrolProof } from '../../src/protocol/codec.ts';
import type { EnrolOutcome, EnrolProof, EnrolRequest } from '../../src/protocol/messages.ts';
import type { Log } from '../../src/log.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import type { SoftDevice } from '../support/soft-device.ts';

export interface Office {
  readonly fleet: TestFleet;
  readonly settings: Settings;
  readonly references: References;
}

/** A fleet's files, as a controller has read them. */
export async function openOffice(): Promise<Office> {
  const fleet = await makeTestFleet();
  const settings = loadSettings(fleet.controllerDir, Date.now());
  return { fleet, settings, references: loadReferences(fleet.controllerDir, settings.trust) };
}

/** A desk with a registry of its own, and what it says. */
export interface Desk {
  readonly desk: EnrolmentDesk;
  readonly registry: Registry;
  readonly tokens: Tokens;
  readonly allowed: AllowList;
  readonly batches: BatchShelf;
  readonly stateDir: string;
  readonly lines: string[];
  /** Messages to devices, oldest first. */
  readonly sent: Buffer[];
  readonly certificates: CertificateOffice;
}

/** `change`: methods of the registry to be replaced; `shared`: the registry of another desk; `trust`: the root of now. */
export async function openDesk(
  { settings, references }: Office,
  change: Partial<Registry> = {},
  shared?: Registry,
  trust: () => Settings['trust'] = () => settings.trust,
): Promise<Desk> {
  const stateDir = await mkdtemp(join(tmpdir(), 'desk-'));
  const file = openSqliteRegistry(join(stateDir, 'registry.sqlite'));
  onTestFinished(async () => {
    await file[Symbol.asyncDispose]();
    await rm(stateDir, { recursive: true, force: true });
  });
  const registry = new Proxy(shared ?? file, {
    get: (target, name) => {
      const of = Object.hasOwn(change, name) ? change : target;
      const value: unknown = Reflect.get(of, name);
      return typeof value === 'function' ? (value.bind(of) as unknown) : value;
    },
  });
  const sent: Buffer[] = [];
  const lines: string[] = [];
  const tokens = new Tokens(registry);
  const allowed = openAllowList(join(stateDir, 'allowed-eks.json'));
  const bus: Pick<Bus, 'publish'> = {
    publish: async (_topic, payload) => {
      sent.push(Buffer.from(payload));
      await Promise.resolve();
    },
  };
  const log: Log = { write: (_level, _event, message) => lines.push(message) };
  const batches = new BatchShelf({ folder: join(stateDir, 'batches'), trust, now: () => systemClock.now(), log });
  await batches.open();
  const own = { ...settings, stateDir };
  const certificates = new CertificateOffice({ settings: own, registry, bus, clock: systemClock, log });
  const desk = new EnrolmentDesk({
    settings,
    references: () => references,
    trust,
    registry,
    certificates,
    admission: new Admission({ tokens, allowed, batches, clock: systemClock, log }),
    clock: systemClock,
    bus,
    log,
    changed: async () => Promise.resolve(),
  });
  return { desk, registry, tokens, allowed, batches, stateDir, lines, sent, certificates };
}

/** The outcome that was sent last. */
export function outcome({ sent }: Desk): EnrolOutcome {
  return decodeEnrolOutcome(sent.at(-1) ?? Buffer.alloc(0));
}

/** The honest proof for `request`, from the credential that was sent last. */
export async function prove({ sent }: Desk, device: SoftDevice, request: Buffer): Promise<EnrolProof> {
  const { credentialBlob, secret } = decodeEnrolCredential(sent.at(-1) ?? Buffer.alloc(0));
  const opened = await device.tpm.activateCredential(credentialBlob, secret);
  const digest = sha256(request);
  const quote = await device.tpm.quote(enrolQualifyingData(digest), { bank: 'sha256', pcrs: [14] });
  return { v: 1, request: digest, proof: hmacSha256(createSecretKey(opened), digest), ...quote };
}

/** Request, credential, proof: everything an honest device does. */
export async function ask(desk: Desk, device: SoftDevice, change: Partial<EnrolRequest> = {}): Promise<Buffer> {
  const request = await device.request(change);
  await desk.desk.receive(device.id, request);
  await desk.desk.receive(device.id, encodeEnrolProof(await prove(desk, device, request)));
  return request;
}
