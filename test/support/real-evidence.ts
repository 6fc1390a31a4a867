// Evidence whose quote a real software TPM made: challenge, claims and log as in the builder, PCRs and signature of the TPM.
import { makeRecord } from '../../src/cel/record.ts';
import type { LogEvent } from '../../src/cel/events.ts';
import { toHex } from '../../src/bytes/text.ts';
import { decode } from '../../src/bytes/wire.ts';
import { qualifyingData } from '../../src/evidence/binding.ts';
import type { Claims } from '../../src/evidence/claims.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { PcrSelection, Quote, TpmIdentity } from '../../src/tpm/port.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { build, EVENT_PCR, reference } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';
import type { SoftwareTpm } from './software-tpm.ts';

/** What the verifier asks a quote to cover in these tests. */
export const SELECTION: PcrSelection = { bank: 'sha256', pcrs: [0, 7, EVENT_PCR] };

/** Runs `work` with the TPM as the product opens it. swtpm serves one client at a time. */
export async function withDevice<T>(tpm: SoftwareTpm, work: (device: DeviceTpm) => Promise<T>): Promise<T> {
  await using device = await openDeviceTpm({ transport: await openSocketTransport({ path: tpm.socketPath }) });
  return await work(device);
}

export async function extendEvents(device: DeviceTpm, events: readonly LogEvent[]): Promise<void> {
  for (const event of events) await device.extendPcr(EVENT_PCR, makeRecord(1, EVENT_PCR, event).digest);
}

/** What a device and its controller know of a TPM when a challenge is answered. */
export interface TpmFacts {
  readonly identity: TpmIdentity;
  readonly claims: Pick<Claims, 'epoch' | 'bootPcrs'>;
}

export async function factsOf(device: DeviceTpm): Promise<TpmFacts> {
  const { resetCount, restartCount } = await device.readClock();
  const bootPcrs = await device.readPcrs({ bank: 'sha256', pcrs: [0, 7] });
  return { identity: await device.identity(), claims: { epoch: { resetCount, restartCount }, bootPcrs } };
}

/** The controller's side: this TPM is endorsed as hardware, so that nothing but the attack is found; its boot PCRs are as expected. */
function expecting({ identity, claims }: TpmFacts, input: AppraisalInput): AppraisalInput {
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = claims.bootPcrs;
  const bootPcrs = new Map([
    [0, new Set([toHex(first)])],
    [7, new Set([toHex(second)])],
  ]);
  const akKey = publicKeyOf(decode(TpmtPublic, identity.akPublic));
  return {
    ...input,
    endorsement: { ...input.endorsement, akKey, akQualifiedName: identity.akQualifiedName },
    reference: { ...reference, ...input.reference, bootPcrs },
  };
}

/** Evidence that answers the builder's challenge with what `sign` makes over the qualifying data it is given. */
export async function realEvidence(
  facts: TpmFacts,
  sign: (binding: Buffer) => Promise<Quote>,
  bend: Bend = {},
): Promise<AppraisalInput> {
  const whole: Bend = {
    ...bend,
    claims: (claims) => {
      const real = { ...claims, ...facts.claims };
      return bend.claims?.(real) ?? real;
    },
  };
  const { challenge, claims, log } = decodeEvidence(build(whole).evidence);
  const quote = await sign(qualifyingData(challenge, claims, log));
  const input = build({ ...whole, attestBytes: () => quote.attest, signature: () => quote.signature });
  return expecting(facts, input);
}
