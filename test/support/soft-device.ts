// A device whose TPM is the fake that really signs: enrols, answers challenges, and can be told to lie.
import { randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Enrolment } from '../../src/agent/enrolment.ts';
import type { EnrolState } from '../../src/agent/enrolment.ts';
import { fromHex } from '../../src/bytes/text.ts';
import { decode } from '../../src/bytes/wire.ts';
import { downTopic, upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import type { Components, LogEvent } from '../../src/cel/events.ts';
import { encodeLog, encodeRecord, makeRecord } from '../../src/cel/record.ts';
import { makeRequest } from '../../src/crypto/certificates.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { qualifyingData } from '../../src/evidence/binding.ts';
import { encodeClaims } from '../../src/evidence/claims-codec.ts';
import type { Claims, Report, SlotClaim } from '../../src/evidence/claims.ts';
import { deviceId } from '../../src/evidence/device-id.ts';
import { loadProfile } from '../../src/profile/profile.ts';
import { readChallenge } from '../../src/protocol/challenge.ts';
import { encodeEnrolRequest, encodeEvidence, encodeLogPart, encodeStatusHint } from '../../src/protocol/codec.ts';
import type { Command, EnrolRequest, StatusHint } from '../../src/protocol/messages.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { objectName } from '../../src/tpm/wire/names.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import type { TestFleet, TestRelease } from './fleet.ts';

const LOG_PART_BYTES = 128 * 1024;
const digestOf = (text: string): Buffer => sha256(Buffer.from(text));

/** How a test bends what the device makes. */
export interface EvidenceBend {
  /** Laid over the claims; the quote is made over the result. */
  readonly claims?: Partial<Claims>;
  /** The log goes before the evidence, in parts of this many bytes. */
  readonly partBytes?: number;
}

/** Messages of one topic, one after another. */
export async function nextOf(bus: Bus, topic: string): Promise<() => Promise<Buffer>> {
  const all: Buffer[] = [];
  let wake: () => void = () => {};
  await bus.subscribe(topic, ({ payload }) => {
    all.push(payload);
    wake();
  });
  return async () => {
    for (;;) {
      const first = all.shift();
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

export class SoftDevice {
  readonly fleet: TestFleet;
  readonly tpm: FakeTpm = new FakeTpm();
  session: Buffer = randomBytes(16);
  #tls = generateKey('p256').privateKey;
  #csr: Buffer | null = null;
  readonly #records: Buffer[] = [];
  readonly #components: Components;
  readonly #profile: ReturnType<typeof loadProfile>;
  id = '';
  certificate = '';
  lastSeq = 0;
  reports: Report[] = [];
  slots: SlotClaim[] = [];

  private constructor(fleet: TestFleet) {
    this.fleet = fleet;
    this.#profile = loadProfile(readFileSync(join(fleet.deviceDir, 'profile.json')), 'profile.json');
    this.#components = {
      agent: digestOf('agent'),
      node: digestOf('node'),
      profile: this.#profile.digest,
      trust: digestOf('trust'),
      runtime: null,
      gateMode: 'none',
    };
  }

  /** A device of this fleet that has started; `release` lies in its first slot. */
  static async make(fleet: TestFleet, release: TestRelease | null): Promise<SoftDevice> {
    const device = new SoftDevice(fleet);
    const { ekPublic } = await device.tpm.identity();
    device.id = deviceId(fromHex(fleet.fleetId), objectName(decode(TpmtPublic, ekPublic)));
    await device.begin(release);
    return device;
  }

  /** The first events of a start, in an empty log. */
  async begin(release: TestRelease | null): Promise<void> {
    this.#records.length = 0;
    const components = this.#components;
    await this.append({ v: 1, type: 'boot', deviceId: this.id, why: 'first', components });
    await this.append({ v: 1, type: 'agent-start', session: this.session, previous: 'first', components });
    if (release !== null) await this.install(release, 'measured');
  }

  /** Records an event and extends it into the PCR. */
  async append(event: LogEvent): Promise<void> {
    const { eventPcr } = this.#profile.profile.tpm;
    const record = makeRecord(this.#records.length + 1, eventPcr, event);
    this.#records.push(encodeRecord(record));
    await this.tpm.extendPcr(eventPcr, record.digest);
  }

  /** The slot now holds `release`; with `found`, the bytes of its one file are others. */
  async install(release: TestRelease, cause: 'activated' | 'measured' | 'changed', found?: string): Promise<void> {
    const slot = this.#profile.profile.slots[0]?.name ?? '';
    const [file = ''] = release.files;
    const differing =
      found === undefined ? [] : [{ path: file, expected: release.digests.get(file) ?? null, found: digestOf(found) }];
    await this.append({
      v: 1,
      type: 'slot',
      slot,
      cause,
      release: fromHex(release.id),
      statement: release.statement,
      manifest: found === undefined ? release.manifest : digestOf(`manifest ${found}`),
      configs: null,
      differing,
      more: 0,
    });
    const { version, securityVersion } = release.passport;
    const state = found === undefined ? 'active' : 'altered';
    this.slots = [{ slot, state, release: fromHex(release.id), version, securityVersion }];
  }

  report(report: Pick<Report, 'kind' | 'rule' | 'slot' | 'subject' | 'detail'>): void {
    this.reports.push({ session: this.session, n: this.reports.length + 1, at: Date.now(), ...report });
  }

  /** Name of its endorsement key, hex. */
  async ekName(): Promise<string> {
    const { ekPublic } = await this.tpm.identity();
    return objectName(decode(TpmtPublic, ekPublic)).toString('hex');
  }

  /** Its disk is new: another key for the broker, and so another request by the same TPM. */
  loseDisk(): void {
    this.#tls = generateKey('p256').privateKey;
    this.#csr = null;
  }

  /** The same bytes each time, unless changed. */
  async request(change: Partial<EnrolRequest> = {}): Promise<Buffer> {
    const { ekPublic, akPublic } = await this.tpm.identity();
    this.#csr ??= makeRequest(this.id, this.#tls);
    return encodeEnrolRequest({
      v: 1,
      fleetId: fromHex(this.fleet.fleetId),
      deviceId: this.id,
      ekPublic,
      ekCertificate: null,
      ekChain: [],
      akPublic,
      tlsCsr: this.#csr,
      profile: this.#profile.profile.id,
      profileDigest: this.#profile.digest,
      token: null,
      ...change,
    });
  }

  /** Runs enrolment over `bus` until `wanted` is reached. */
  async enrol(bus: Bus, wanted: EnrolState['at'], change: Partial<EnrolRequest> = {}): Promise<EnrolState> {
    const send = async (message: Buffer): Promise<void> => bus.publish(upTopic(this.id, 'enrol'), message);
    const enrolment = new Enrolment({
      tpm: this.tpm,
      selection: { bank: 'sha256', pcrs: [this.#profile.profile.tpm.eventPcr] },
      request: await this.request(change),
      isOurs: () => true,
      send,
    });
    return new Promise((resolve, reject) => {
      let work: Promise<unknown> = Promise.resolve();
      const take = async (payload: Buffer): Promise<void> => {
        const state = await enrolment.receive(payload);
        if (state.at === 'approved') this.certificate = state.certificate;
        if (state.at === wanted) resolve(state);
      };
      bus
        .subscribe(downTopic(this.id, 'enrol'), ({ payload }) => {
          work = work.then(async () => take(payload)).catch(reject);
        })
        .then(async () => enrolment.start())
        .catch(reject);
    });
  }

  /** A connection with the certificate that enrolment gave. */
  async connect(options: { readonly will?: boolean } = {}): Promise<Bus> {
    return connectMqttBus({
      url: this.fleet.url,
      caPem: this.fleet.caPem,
      certPem: this.certificate,
      keyPem: this.#tls.export({ type: 'pkcs8', format: 'pem' }).toString(),
      clientId: this.id,
      ...(options.will === true ? { will: { topic: upTopic(this.id, 'status'), payload: this.hint(false) } } : {}),
    });
  }

  hint(online: boolean, wants: StatusHint['wants'] = 'nothing'): Buffer {
    return encodeStatusHint({ v: 1, deviceId: this.id, online, wants });
  }

  /** Evidence for a challenge, and the parts of the log that go before it. */
  async evidence(sealed: Buffer, bend: EvidenceBend = {}): Promise<{ message: Buffer; parts: Buffer[] }> {
    const challenge = readChallenge(sealed);
    const { clock: _clock, safe: _safe, ...epoch } = await this.tpm.readClock();
    const known = challenge.epoch?.resetCount === epoch.resetCount && challenge.afterSeq <= this.#records.length;
    const logFrom = known ? challenge.afterSeq + 1 : 1;
    const log = encodeLog(this.#records.slice(logFrom - 1));
    const { eventPcr } = this.#profile.profile.tpm;
    const others = challenge.pcrs.filter((pcr) => pcr !== eventPcr);
    const claims = encodeClaims({
      v: 1,
      fleetId: fromHex(this.fleet.fleetId),
      deviceId: this.id,
      session: this.session,
      agentVersion: '0.1.0',
      profile: this.#profile.profile.id,
      profileDigest: this.#profile.digest,
      epoch,
      logFrom,
      logTo: this.#records.length,
      lastSeq: this.lastSeq,
      slots: this.slots,
      reports: this.reports,
      bootPcrs: await this.tpm.readPcrs({ bank: 'sha256', pcrs: others }),
      now: Date.now(),
      measuredAgo: 100,
      ...bend.claims,
    });
    const size = bend.partBytes ?? LOG_PART_BYTES;
    const apart = bend.partBytes !== undefined || log.length > LOG_PART_BYTES;
    const digest = sha256(log);
    const count = Math.ceil(log.length / size);
    const part = apart ? { digest, length: log.length, parts: count } : log;
    const quote = await this.tpm.quote(qualifyingData(sealed, claims, part), { bank: 'sha256', pcrs: challenge.pcrs });
    const parts = apart
      ? Array.from({ length: count }, (_, index) =>
          encodeLogPart({ v: 1, digest, index, bytes: log.subarray(index * size, (index + 1) * size) }),
        )
      : [];
    return { message: encodeEvidence({ v: 1, challenge: sealed, claims, log: part, ...quote }), parts };
  }

  /** The next challenge that comes over `bus`; subscribes at the first call. */
  async challenges(bus: Bus): Promise<() => Promise<Buffer>> {
    return nextOf(bus, downTopic(this.id, 'challenge'));
  }

  /** The next command, opened with the operator keys of the root. */
  async commands(bus: Bus, keys: ReadonlyMap<string, KeyObject>): Promise<() => Promise<Command>> {
    const next = await nextOf(bus, downTopic(this.id, 'command'));
    return async () => {
      const command = openStatement('command', await next(), keys);
      if (command === null) throw new TypeError('a command is signed by an operator key of the root');
      return command;
    };
  }

  /** Answers every challenge that comes over `bus`, as an agent does. */
  async answerAll(bus: Bus, bend: EvidenceBend = {}): Promise<void> {
    await bus.subscribe(downTopic(this.id, 'challenge'), ({ payload }) => {
      const answer = async (): Promise<void> => {
        const { message, parts } = await this.evidence(payload, bend);
        for (const part of parts) await bus.publish(upTopic(this.id, 'log'), part);
        await bus.publish(upTopic(this.id, 'evidence'), message);
      };
      // A test that has ended closes the bus under it.
      answer().catch(() => undefined);
    });
  }
}
