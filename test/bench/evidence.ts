// Evidence from challenge to bytes on a software TPM, as the agent gives it out, against the TPM2_Quote in it alone, sent as bare bytes.
import { createSecretKey, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BootPcrs } from '../../src/agent/boot-pcrs.ts';
import { makeEvidence } from '../../src/agent/evidence-maker.ts';
import type { DeviceClaims, EvidenceParts, MadeEvidence } from '../../src/agent/evidence-maker.ts';
import { EventRecorder } from '../../src/measure/recorder.ts';
import { loadProfile, quotedPcrs } from '../../src/profile/profile.ts';
import type { LoadedProfile } from '../../src/profile/profile.ts';
import { sealChallenge } from '../../src/protocol/challenge.ts';
import type { Challenge } from '../../src/protocol/messages.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openTctiTransport } from '../../src/tpm/transport/tcti.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';
import type { Epoch } from '../../src/tpm/port.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import { digestOf, slotEvent } from '../verifier/evidence-builder.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { interleave, seconds } from './interleave.ts';
import type { Figure } from './interleave.ts';

const TPM_CC_QUOTE = 0x158;
/** A log as a device has it some time after its start. */
const RECORDS = 22;
const profilePath = join(import.meta.dirname, '../../firmware-profiles/generic-linux.json');

/** Passes commands on and keeps the last TPM2_Quote. */
function remembering(inner: TpmTransport): { transport: TpmTransport; quote: () => Buffer } {
  let last: Buffer | null = null;
  return {
    transport: {
      raw: inner.raw,
      close: async () => inner.close(),
      transmit: async (command) => {
        if (command.readUInt32BE(6) === TPM_CC_QUOTE) last = Buffer.from(command);
        return inner.transmit(command);
      },
    },
    quote: () => {
      if (last === null) throw new TypeError('no quote was made');
      return last;
    },
  };
}

function claimsOf({ profile, digest }: LoadedProfile): DeviceClaims {
  return {
    fleetId: Buffer.alloc(16, 1),
    deviceId: 'a'.repeat(32),
    session: randomBytes(16),
    agentVersion: '0.1.0',
    profile: profile.id,
    profileDigest: digest,
    lastSeq: 0,
    slots: profile.slots.map(({ name }) => ({
      slot: name,
      state: 'active',
      release: digestOf('release'),
      version: '1.0.0',
      securityVersion: 1,
    })),
    now: 1,
    measuredAgo: 1,
  };
}

function challengeFor(epoch: Epoch, { profile }: LoadedProfile): { challenge: Challenge; sealed: Buffer } {
  const challenge: Challenge = {
    v: 1,
    fleetId: Buffer.alloc(16, 1),
    deviceId: 'a'.repeat(32),
    issuedAt: 1,
    nonce: randomBytes(16),
    generation: 3,
    bank: 'sha256',
    pcrs: quotedPcrs(profile),
    epoch,
    afterSeq: RECORDS - 2,
    policyDigest: digestOf('policy'),
    kid: 'bench',
  };
  return { challenge, sealed: sealChallenge(challenge, createSecretKey(digestOf('key'))) };
}

/** Milliseconds of one `work`, over `times` of them. */
async function each(times: number, work: () => Promise<unknown>): Promise<number> {
  const took = await seconds(async () => {
    for (let i = 0; i < times; i++) await work();
  });
  return (1000 * took) / times;
}

async function measured(options: BenchOptions): Promise<Figure[]> {
  const profile = loadProfile(await readFile(profilePath), profilePath);
  const { eventPcr } = profile.profile.tpm;
  await using software = await startSoftwareTpm({ dir: join(options.dir, 'tpm'), ekCertificates: false });
  const { transport, quote } = remembering(await openTctiTransport(software.tcti));
  await using tpm = await openDeviceTpm({ transport });
  await using journal = await openJournal({ path: join(options.dir, 'journal.sqlite') });
  const { recorder } = await EventRecorder.open({ tpm, journal, pcr: eventPcr });
  for (let n = 1; n <= RECORDS; n++) await recorder.append({ ...slotEvent, manifest: digestOf(`${n}`) });
  const epoch = await recorder.snapshot(async (head) => Promise.resolve(head.epoch));
  const parts: EvidenceParts = { tpm, journal, bootPcrs: new BootPcrs(eventPcr) };
  const ask = { ...challengeFor(epoch, profile), claims: claimsOf(profile) };
  const answer = async (): Promise<MadeEvidence> =>
    recorder.snapshot(
      async (head) => makeEvidence(parts, { ...ask, head }),
      ({ showsHead }) => showsHead,
    );
  const { message } = await answer();
  const times = options.quick ? 20 : 100;
  const pair = await interleave(
    options.rounds,
    async () => each(times, answer),
    async () => each(times, async () => transport.transmit(quote())),
  );
  return [
    {
      name: `evidence, ${ask.challenge.pcrs.length} PCRs, 2 new records (${message.length} bytes)`,
      unit: 'ms',
      ...pair,
      limitName: 'TPM2_Quote alone (P-256 AK, swtpm)',
      bar: { atMostAbove: 0.5 },
    },
  ];
}

export const evidence: Bench = { name: 'evidence', run: measured };
