// Builds an agent from its real parts, by hand, and runs it until it is told to stop.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileLeases } from '../../native/libc.ts';
import { Agent } from '../agent/agent.ts';
import { Attester } from '../agent/attester.ts';
import { authenticBy } from '../agent/authentic.ts';
import { AskSocket } from '../agent/ask-socket.ts';
import type { BundleRoomParts } from '../agent/bundle-room.ts';
import { BUNDLE_SOCKET, bundleAskShape } from '../agent/bundle-socket.ts';
import { DeviceTime } from '../agent/device-time.ts';
import { EscrowKeeper } from '../agent/escrow-keeper.ts';
import { connectToBroker } from '../agent/broker-door.ts';
import { CertificateKeeper } from '../agent/certificate-keeper.ts';
import { EngineKeeper } from '../agent/engine-keeper.ts';
import { engineWork } from '../agent/engine-work.ts';
import { openFloor } from '../agent/floor-keeper.ts';
import { openGlassSocket } from '../agent/glass-socket.ts';
import { Incoming } from '../agent/incoming.ts';
import { lineLog } from '../log.ts';
import type { Log } from '../log.ts';
import { machineNow } from '../agent/machine.ts';
import { StateGate } from '../agent/model-gate.ts';
import { PaperFolder } from '../agent/paper-folder.ts';
import { RootKeeper } from '../agent/root-keeper.ts';
import { openStateDir } from '../agent/state-dir.ts';
import { StatusSocket } from '../agent/status-socket.ts';
import { makeTlsKey } from '../agent/tls-key.ts';
import { settleTpmLife } from '../agent/tpm-life.ts';
import { TPM_AUTH_FILE } from '../agent/tpm-ownership.ts';
import { fromHex } from '../bytes/text.ts';
import { decode } from '../bytes/wire.ts';
import { systemClock } from '../clock.ts';
import { ConfigError } from '../errors.ts';
import { MAX_REPORTS } from '../evidence/claims.ts';
import { deviceId } from '../evidence/device-id.ts';
import { HashPool } from '../files/hash-pool.ts';
import type { LeaseState } from '../files/hash-pool.ts';
import { measureComponents } from '../measure/components.ts';
import { EventRecorder } from '../measure/recorder.ts';
import { measureSlot } from '../measure/slot-measurer.ts';
import { watchSlots } from '../measure/watcher.ts';
import { loadProfile, quotedPcrs } from '../profile/profile.ts';
import { readFleetFile } from '../release/root.ts';
import { openJournal } from '../store/open-journal.ts';
import { DEFAULT_TCTI } from '../tpm/transport/tcti.ts';
import { objectName } from '../tpm/wire/names.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
import type { AgentOptions } from './agent-options.ts';
import { openOwnTpm } from './own-tpm.ts';
import { packageVersion } from './version.ts';

export interface AgentRun extends AgentOptions {
  readonly signal: AbortSignal;
  /** Who measures the agent's own software; a process that runs it more than once need not read it all again. */
  readonly measureSoftware?: typeof measureComponents;
}

async function fileOf(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${path}`, { cause });
  });
}

/** Runs until `signal`. Errors: TouchstoneError of whatever can't be gone on with. */
export async function runAgent(run: AgentRun): Promise<void> {
  const session = randomBytes(16);
  await using _lock = await openStateDir(run.state);
  const [profileBytes, fleetBytes, rootBytes] = await Promise.all([
    fileOf(run.profile),
    fileOf(join(run.fleet, 'fleet.json')),
    fileOf(join(run.fleet, 'root.json')),
  ]);
  const profile = loadProfile(profileBytes, run.profile);
  const fleetFile = readFleetFile(fleetBytes, join(run.fleet, 'fleet.json'));
  const fleetId = fromHex(fleetFile.fleetId);

  await using journal = await openJournal({
    path: join(run.state, 'journal.sqlite'),
    onCorrupt: 'start-over',
    session,
    now: systemClock.now(),
  });
  const time = await DeviceTime.open({ journal, clock: systemClock, fleetMinimum: fleetFile.minimumTime });
  const now = (): number => time.now();
  const log: Log = lineLog(run.log, now, (line) => process.stderr.write(line));
  const root = await RootKeeper.open({ journal, log, fleetFile: fleetBytes, rootFile: rootBytes, now });

  const { tcti } = profile.profile.tpm;
  const configured = run.tcti ?? (tcti === 'auto' ? DEFAULT_TCTI : tcti);
  const onLate = (command: string, afterMs: number): void => {
    const detail = `the TPM had not answered ${command} after ${afterMs} ms`;
    const report = { session, kind: 'tpm', rule: 'tpm-late', slot: null, subject: command, detail, at: now() } as const;
    const tell = async (): Promise<void> => {
      // The room that is left is for what became of commands.
      if ((await journal.reports()).length < MAX_REPORTS / 2) await journal.addReport(report);
    };
    // A journal that fails ends the agent at its next step; this one only wanted to tell.
    tell().catch(() => undefined);
  };
  await using tpm = await openOwnTpm(
    configured,
    profile.profile.tpm.ownership,
    join(run.state, TPM_AUTH_FILE),
    log,
    onLate,
  );
  const identity = await tpm.identity();
  const life = await settleTpmLife(journal, tpm, log);
  const device = deviceId(fleetId, objectName(decode(TpmtPublic, identity.ekPublic)));

  const escrow = new EscrowKeeper({
    journal,
    log,
    secret: await readFile(join(run.state, TPM_AUTH_FILE)).catch(() => null),
    of: { deviceId: device, ekName: objectName(decode(TpmtPublic, identity.ekPublic)) },
    root: () => root.trust.root,
  });

  const leases = fileLeases();
  const lease = (fd: number): LeaseState => leases.lease(fd);
  await using pool = new HashPool({ lease });
  // At each start, and a thread that has ended leaves some megabytes behind in the process.
  await using onThisThread = new HashPool({ lease, threads: 0 });
  const components = await (run.measureSoftware ?? measureComponents)({
    profileDigest: profile.digest,
    trustBytes: Buffer.concat([fleetBytes, rootBytes]),
    runtime: profile.profile.runtime,
    pool: onThisThread,
  });
  const { recorder, ...start } = await EventRecorder.open({ tpm, journal, pcr: profile.profile.tpm.eventPcr });
  const floor = await openFloor({
    tpm,
    profile: profile.profile,
    trust: () => root.trust,
    stateDir: run.state,
    log,
  });
  const gate = new StateGate({
    journal,
    stateDir: run.state,
    trust: root.trust,
    profile: profile.profile,
    pool,
    session,
    now,
    agentVersion: packageVersion(),
    floor,
  });
  await gate.recover();
  await using incoming = await Incoming.open({
    stateDir: run.state,
    profile: profile.profile.transfer,
    clock: systemClock,
    log,
    env: process.env,
    judge: async (body, files) => gate.judgeFiles(body, files),
  });
  const authentic = authenticBy(() => root.trust);
  const self = { fleetId, deviceId: device, session, agentVersion: packageVersion() };
  await using statusSocket = await StatusSocket.open(join(run.state, 'status.sock'));
  const alone = async <T>(work: () => T): Promise<T> => tpm.withParts(async () => work());
  const attester = new Attester({
    self,
    onStatus: (status, leaseLeftMs) => {
      statusSocket.publish(status);
      agent.leaseEndsIn(leaseLeftMs);
    },
    tpm,
    clockUpdateMs: identity.clockUpdateMs,
    life,
    journal,
    recorder,
    start,
    components,
    profile,
    gate,
    incoming,
    authentic,
    clock: systemClock,
    log,
    stateDir: run.state,
    check: async (slot, release) => {
      // Only in trials, and what starts programs is not small.
      const { checkHealth } = await import('../agent/health-check.ts');
      return checkHealth(slot, release, {
        stateDir: run.state,
        monotonic: () => systemClock.monotonic(),
        alone,
      });
    },
    engines: (last, ended) =>
      new EngineKeeper({
        work: engineWork({ stateDir: run.state, runtime: profile.profile.runtime, pool, signal: run.signal, alone }),
        journal,
        log,
        runtime: components.runtime,
        last,
        record: async (event) => recorder.append(event),
        soon: (work) => {
          agent.soon(work);
        },
        monotonic: () => systemClock.monotonic(),
        ended,
      }),
    soon: (work) => {
      agent.soon(work);
    },
    tell: async () => agent.tell(),
    basis: async (challenge) => ({
      rootVersion: root.trust.version,
      tpmLife: life,
      ...(await floor.claims(challenge)),
      ...(await escrow.claims()),
      ...(await certificates.claims()),
    }),
    heard: async (result) => {
      await time.hear(result.appraisedAt);
      await escrow.kept(result.escrowed);
    },
    floors: floor.known,
    takeFloors: async (token) => {
      const outcome = await floor.give(token);
      if (outcome.given) await gate.resettle();
      return outcome.given
        ? { kind: 'command', rule: 'done', detail: `the version floors are ${outcome.values.join(', ')}` }
        : { kind: 'refused', rule: 'floor-token', detail: outcome.why };
    },
    now,
    machine: machineNow,
    measure: async (slot, expected) => measureSlot({ slot, stateDir: run.state, expected, pool, signal: run.signal }),
  });
  const certificates = new CertificateKeeper({
    journal,
    deviceId: device,
    caPem: fleetFile.broker.caPem,
    log,
    now,
    makeTlsKey,
  });
  const folder = new PaperFolder({
    journal,
    identity,
    fleetId,
    deviceId: device,
    profile,
    token: run.tokenFile === undefined ? null : (await fileOf(run.tokenFile)).toString().trim(),
    makeTlsKey,
  });
  const owner = { fleetId, deviceId: device, eventPcr: profile.profile.tpm.eventPcr };
  const takeRoot = async (bytes: Buffer): Promise<boolean> => {
    const changed = await root.take(bytes);
    if (changed) gate.useTrust(root.trust);
    return changed;
  };
  const agent: Agent = new Agent({
    owner,
    attester,
    clock: systemClock,
    log,
    passEveryMs: profile.profile.maxDetectionSeconds * 1000,
    papers: async () => folder.papers(),
    keepPapers: async (papers) => {
      await folder.keep(papers);
      certificates.enrolled();
    },
    takeCertificate: async (bytes) => certificates.take(bytes),
    enrolment: async () => ({
      tpm,
      selection: { bank: 'sha256', pcrs: quotedPcrs(profile.profile) },
      request: await folder.request(),
      isOurs: (endorsement) => authentic.endorsement(endorsement)?.deviceId === device,
    }),
    takeRoot,
    connect: async (papers, will) => connectToBroker(fleetFile.broker, device, papers, will),
    watch: (changed) => watchSlots({ profile: profile.profile, stateDir: run.state, changed }),
  });
  const soon = (work: () => Promise<void>): void => {
    agent.soon(work);
  };
  const broken = (error: unknown): void => {
    soon(async () => {
      throw error;
    });
  };
  await using _bundles = await AskSocket.open({
    path: join(run.state, BUNDLE_SOCKET),
    gid: null,
    shape: bundleAskShape,
    broken,
    serve: async (...asked) => {
      // Rarely needed: not loaded before.
      const { serveBundles } = await import('../agent/bundle-room.ts');
      const maxBytes = profile.profile.transfer?.maxBytes ?? null;
      const { slots } = profile.profile;
      const judge: BundleRoomParts['judge'] = async (body, files) => gate.judgeFiles(body, files);
      const given = { owner, slots, attester, authentic, incoming, journal, clock: systemClock, log };
      return serveBundles({ ...given, maxBytes, now, soon, judge, takeRoot })(...asked);
    },
  });
  await using _glass = await openGlassSocket({ stateDir: run.state, profile: profile.profile, attester, soon, broken });
  await agent.run(run.signal);
}
