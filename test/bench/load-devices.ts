// Many devices in a process of its own for the throughput benchmark: each with its own key, certificate and connection. The
// evidence of a round is made before the clock starts, so that the load does not measure itself.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fromHex, toHex } from '../../src/bytes/text.ts';
import { CLIENT_ID_PREFIX, downTopic, upTopic } from '../../src/bus/bus.ts';
import { loadSettings, policyOf } from '../../src/controller/settings.ts';
import type { Settings } from '../../src/controller/settings.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { quotedPcrs } from '../../src/profile/profile.ts';
import { sealChallenge } from '../../src/protocol/challenge.ts';
import { signStatement } from '../../src/protocol/statement.ts';
import type { Epoch } from '../../src/tpm/port.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { LoadClient, publication } from './load-client.ts';
import { fleetAt } from './load-messages.ts';
import type { FromDevices, RoundDone, ToDevices } from './load-messages.ts';

/** Records that each evidence brings: a slot was measured again, and once more. */
const RECORDS = 2;

interface Member {
  readonly device: SoftDevice;
  generation: number;
  epoch: Epoch | null;
  seq: number;
  client: LoadClient | null;
  /** What it will send in this round, oldest first. */
  ready: Ready[];
  /** What the result of the evidence that it sent last says. */
  awaited: Buffer;
}

interface Ready {
  readonly packet: Buffer;
  /** `"evidence":"<its digest>"` */
  readonly awaited: Buffer;
}

interface World {
  readonly fleet: TestFleet;
  readonly settings: Settings;
  readonly release: TestRelease;
  readonly members: Member[];
}

let world: World | null = null;
/** What is done with a result that is the answer to what its device sent last. */
let onResult: (member: Member, affirming: boolean) => void = () => {};

async function make(fleet: TestFleet, count: number): Promise<World> {
  const release = await fleet.release();
  const settings = loadSettings(fleet.controllerDir, Date.now());
  await using registry = openSqliteRegistry(join(fleet.controllerDir, 'registry.sqlite'));
  const members: Member[] = [];
  for (let i = 0; i < count; i++) {
    const device = await SoftDevice.make(fleet, release);
    const { id } = device;
    const { ekPublic, akPublic, akQualifiedName } = await device.tpm.identity();
    const profile = fleet.profile.id;
    const endorsement = {
      v: 1,
      fleetId: fleet.fleetId,
      deviceId: id,
      ekPublic: toHex(ekPublic),
      akPublic: toHex(akPublic),
      akQualifiedName: toHex(akQualifiedName),
      tier: 'hardware',
      tpm: null,
      chain: [],
      profile,
      approvedBy: 'benchmark',
      issuedAt: Date.now(),
    } as const;
    const enrolment = { id, request: Buffer.from('benchmark'), secretProven: true, findings: [] };
    await registry.addDevice({ id, label: null, profile, tier: 'hardware' }, enrolment);
    const signed = signStatement('endorsement', endorsement, settings.resultKey);
    await registry.setState(id, ['pending'], 'approved', { envelope: signed, tier: 'hardware' });
    members.push({ device, generation: 0, epoch: null, seq: 0, client: null, ready: [], awaited: Buffer.alloc(0) });
  }
  for (const member of members) {
    const row = await registry.device(member.device.id);
    member.generation = row?.row.generation ?? 0;
  }
  return { fleet, settings, release, members };
}

/** The evidence that this device will send next, to a challenge as any controller of the fleet would issue it. */
async function evidence({ fleet, settings, release }: World, member: Member): Promise<Ready> {
  const { device } = member;
  for (let i = 0; i < RECORDS; i++) await device.install(release, 'measured');
  const { key, kid } = settings.challenge;
  const challenge = {
    v: 1,
    fleetId: fromHex(fleet.fleetId),
    deviceId: device.id,
    issuedAt: Date.now(),
    nonce: randomBytes(16),
    generation: member.generation,
    bank: 'sha256',
    pcrs: quotedPcrs(fleet.profile),
    epoch: member.epoch,
    afterSeq: member.seq,
    policyDigest: policyOf(settings, fleet.profile.leaseSeconds * 1000).digest,
    kid,
  } as const;
  const { resetCount, restartCount } = await device.tpm.readClock();
  member.epoch = { resetCount, restartCount };
  member.generation += 1;
  // Boot, agent start and the first measurement are in its log already.
  member.seq = member.seq === 0 ? 3 + RECORDS : member.seq + RECORDS;
  const { message } = await device.evidence(sealChallenge(challenge, key));
  const packet = publication(upTopic(device.id, 'evidence'), message, member.generation);
  return { packet, awaited: Buffer.from(`"evidence":"${toHex(sha256(message))}"`) };
}

/** A DSSE envelope as the controller writes it: JSON that begins with the payload. */
const BEFORE_PAYLOAD = '{"payload":"'.length;
const AFFIRMING = Buffer.from('"status":"affirming","assurance"');

/** Only looked into: to read a result as a device does is not what is measured. */
function takeResult(member: Member, payload: Buffer): void {
  const end = payload.indexOf('"', BEFORE_PAYLOAD);
  const inner = Buffer.from(payload.toString('latin1', BEFORE_PAYLOAD, end), 'base64');
  if (inner.includes(member.awaited)) onResult(member, inner.includes(AFFIRMING));
}

async function connect({ fleet, members }: World): Promise<void> {
  const open = async (member: Member): Promise<void> => {
    const { id } = member.device;
    const clientId = `${CLIENT_ID_PREFIX}${id}`;
    const options = { url: fleet.url, caPem: fleet.caPem, ...fleet.clientCertificate(id), clientId };
    member.client = await LoadClient.open(options, downTopic(id, 'result'), (payload) => {
      takeResult(member, payload);
    });
  };
  for (let i = 0; i < members.length; i += 20) await Promise.all(members.slice(i, i + 20).map(open));
}

function send(member: Member): void {
  const ready = member.ready.shift();
  if (ready === undefined) throw new TypeError('a device that has nothing left to send was chosen');
  member.awaited = ready.awaited;
  member.client?.send(ready.packet);
}

async function round(of: World, times: number, atOnce: number): Promise<RoundDone> {
  for (let i = 0; i < times; i++) {
    for (const member of of.members) member.ready.push(await evidence(of, member));
    await turn();
  }
  const bytes = of.members[0]?.ready.at(-1)?.packet.length ?? 0;
  const total = times * of.members.length;
  // Whoever waited longest sends next; a device sends again only after its result.
  const resting = [...of.members];
  let [results, affirming] = [0, 0];
  const before = process.cpuUsage();
  const start = process.hrtime.bigint();
  await new Promise<void>((resolve) => {
    const next = (): void => {
      const member = resting.shift();
      if (member !== undefined) send(member);
    };
    onResult = (member, good) => {
      results += 1;
      affirming += Number(good);
      if (member.ready.length > 0) resting.push(member);
      if (results === total) resolve();
      else next();
    };
    for (let i = 0; i < Math.min(atOnce, of.members.length); i++) next();
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(before);
  return { done: 'round', results, affirming, seconds, cpu: (user + system) / 1e6, bytes };
}

async function answer(message: ToDevices): Promise<FromDevices> {
  if (message.do === 'make') {
    world = await make(fleetAt(message.fleet), message.devices);
    return { done: 'make' };
  }
  if (world === null) throw new TypeError('the devices are made first');
  if (message.do === 'round') return round(world, message.times, message.atOnce);
  await connect(world);
  return { done: 'connect' };
}

process.on('message', (message: ToDevices) => {
  answer(message).then(
    (reply) => process.send?.(reply),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
// Without the benchmark there is nobody to attest to.
process.on('disconnect', () => process.exit(0));
