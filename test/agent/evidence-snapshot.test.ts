// Evidence is given out only of a moment in which PCR and log agreed; where its quote shows that by itself, the TPM is asked nothing more.
import { beforeEach, describe, expect, test } from 'vitest';
import { BootPcrs } from '../../src/agent/boot-pcrs.ts';
import { makeEvidence } from '../../src/agent/evidence-maker.ts';
import type { MadeEvidence } from '../../src/agent/evidence-maker.ts';
import { decodeClaims } from '../../src/evidence/claims-codec.ts';
import type { EventRecorder } from '../../src/measure/recorder.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import type { Challenge } from '../../src/protocol/messages.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { openRecorder, PCR, slotEvent } from '../measure/device.ts';
import { deviceClaims as claims } from './device-claims.ts';

const WITH_EVENTS = [0, 7, PCR];

function challengeFor(pcrs: readonly number[]): Challenge {
  const { fleetId, deviceId } = claims;
  const fixed = { v: 1, issuedAt: 1, generation: 1, bank: 'sha256', epoch: null, afterSeq: 0, kid: 'k' } as const;
  return { ...fixed, fleetId, deviceId, pcrs, nonce: Buffer.alloc(16, 2), policyDigest: Buffer.alloc(32, 3) };
}

describe('evidence', () => {
  let tpm: FakeTpm;
  let journal: MemoryJournal;
  let recorder: EventRecorder;
  let bootPcrs: BootPcrs;
  let commands: string[];

  const answer = async (pcrs: readonly number[] = WITH_EVENTS): Promise<MadeEvidence> => {
    commands = [];
    const ask = { challenge: challengeFor(pcrs), sealed: Buffer.from('sealed'), claims };
    return recorder.snapshot(
      async (head) => makeEvidence({ tpm, journal, bootPcrs }, { ...ask, head }),
      ({ showsHead }) => showsHead,
    );
  };

  beforeEach(async () => {
    [tpm, journal, bootPcrs] = [new FakeTpm(), new MemoryJournal(), new BootPcrs(PCR)];
    ({ recorder } = await openRecorder({ tpm, journal }));
    await recorder.append(slotEvent(1));
    tpm.onCommand = (name) => {
      commands.push(name);
    };
    await answer();
  });

  test('costs a TPM its quote alone', async () => {
    const { message, sent } = await answer();
    expect(commands).toEqual(['quote']);
    expect(decodeClaims(decodeEvidence(message).claims)).toMatchObject({ logTo: 1, epoch: sent.epoch });
  });

  test('of a PCR into which a stranger wrote is not given out', async () => {
    tpm.foreignExtend(PCR);
    await expect(answer()).rejects.toMatchObject({ code: 'TPM_MOVED', moved: 'pcr' });
  });

  test.each(['reset', 'suspendResume', 'hibernate'] as const)(
    'after %s of the TPM under the agent is not given out',
    async (what) => {
      tpm[what]();
      await expect(answer()).rejects.toMatchObject({ code: 'TPM_MOVED', moved: 'epoch' });
    },
  );

  test('is given out when a boot PCR moved, once it says so', async () => {
    tpm.foreignExtend(7);
    const { message } = await answer();
    expect(commands).toEqual(['quote', 'readPcrs', 'quote']);
    const said = decodeClaims(decodeEvidence(message).claims).bootPcrs[1];
    expect(said).not.toEqual(new Uint8Array(32));
  });

  test('that is asked without the event PCR shows nothing of it, so the TPM is asked', async () => {
    await answer([0, 7]);
    expect(commands.slice(-2)).toEqual(['readPcrs', 'readClock']);
    tpm.foreignExtend(PCR);
    await expect(answer([0, 7])).rejects.toMatchObject({ code: 'TPM_MOVED', moved: 'pcr' });
  });
});
