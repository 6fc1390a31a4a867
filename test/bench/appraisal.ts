// Appraisal of evidence, against the signature verification in it alone: what the verifier costs beside what nobody can save.
import { verify } from 'node:crypto';
import type { SlotEvent } from '../../src/cel/events.ts';
import { toDerSignature } from '../../src/crypto/ecdsa.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import { decode } from '../../src/bytes/wire.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, RowState } from '../../src/verifier/types.ts';
import { laterRow } from '../verifier/attack.ts';
import { akPublic } from '../verifier/attest-builder.ts';
import { build, digestOf, slotEvent } from '../verifier/evidence-builder.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { interleave, seconds } from './interleave.ts';
import type { Figure } from './interleave.ts';

/** Short turns, and many: what another program does in the meantime then falls on both sides alike. */
const TURN = 8;
const TURNS = 61;
const QUICK_TURNS = 9;
/** Turns before the first that counts: the compiler of a process that runs for days has long seen the code. */
const WARM_UP = 80;
/** Different evidences judged in turn, so that nothing stays in a cache that would not in a fleet. */
const DIFFERENT = 64;

/** Evidence after an accepted log of `seq` records, with `records` new ones. */
function inputs(seq: number, records: number): AppraisalInput[] {
  const row = laterRow();
  if (row.log === null) throw new TypeError('the row has a log');
  const { pcr } = row.log;
  const at: RowState = { ...row, log: { ...row.log, seq } };
  return Array.from({ length: DIFFERENT }, (_, i) => {
    const events = Array.from({ length: records }, (__, k): SlotEvent => ({
      ...slotEvent,
      cause: 'activated',
      configs: k === records - 1 ? slotEvent.configs : digestOf(`${i}.${k}`),
    }));
    return build({ row: at, events, firstRecord: seq + 1, startPcr: pcr });
  });
}

interface Verification {
  readonly attest: Uint8Array;
  readonly signature: Buffer;
}

function verificationOf({ evidence }: AppraisalInput): Verification {
  const { attest, signature } = decodeEvidence(evidence);
  const decoded = decode(TpmtSignature, signature);
  if (decoded.scheme !== 'ecdsa') throw new TypeError('an ECDSA signature');
  return { attest, signature: toDerSignature(decoded.r, decoded.s) };
}

/** Calls a second of `work` over all `items` in turn. */
async function rate<T>(items: readonly T[], work: (item: T) => boolean): Promise<number> {
  let good = 0;
  const took = await seconds(() => {
    for (let i = 0; i < TURN; i++) for (const item of items) good += Number(work(item));
  });
  if (good !== TURN * items.length) throw new Error('a genuine evidence was not accepted');
  return good / took;
}

const accepts = (input: AppraisalInput): boolean => appraise(input).accepted;
const verifies = ({ attest, signature }: Verification): boolean => verify('sha256', attest, akPublic, signature);

async function warmUp(items: readonly AppraisalInput[], { quick }: BenchOptions): Promise<void> {
  for (let i = 0; i < (quick ? 1 : WARM_UP); i++) await rate(items, accepts);
}

async function beside(options: BenchOptions, records: number, atLeast: number): Promise<Figure> {
  const judged = inputs(20, records);
  await warmUp(judged, options);
  const verifications = judged.map(verificationOf);
  const pair = await interleave(
    options.quick ? QUICK_TURNS : TURNS,
    async () => rate(judged, accepts),
    async () => rate(verifications, verifies),
  );
  return {
    name: `appraise, ${records} new records`,
    unit: '/s',
    ...pair,
    limitName: 'crypto.verify P-256 alone',
    bar: { atLeast },
  };
}

async function farAlong({ quick }: BenchOptions): Promise<Figure> {
  const [far, near] = [inputs(100_000, 2), inputs(20, 2)];
  const micros = async (items: AppraisalInput[]): Promise<number> => 1e6 / (await rate(items, accepts));
  const pair = await interleave(
    quick ? QUICK_TURNS : TURNS,
    async () => micros(far),
    async () => micros(near),
  );
  return {
    name: 'appraise at record 100,000, incremental',
    unit: 'µs',
    ...pair,
    limitName: 'at record 20',
    bar: { atMost: 1.2 },
  };
}

export const appraisal: Bench = {
  name: 'appraisal',
  run: async (options) => [await beside(options, 2, 0.7), await beside(options, 20, 0.5), await farAlong(options)],
};
