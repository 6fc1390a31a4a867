// What is done with what was carried here: a bundle is applied, a signed result is taken. Loaded when the first of them comes.
import { WireError } from '../errors.ts';
import type { Attester } from './attester.ts';
import { BundleDesk } from './bundle-desk.ts';
import type { BundleDeskParts } from './bundle-desk.ts';
import type { Serve } from './ask-socket.ts';
import type { BundleAsk } from './bundle-socket.ts';
import { inTurn } from './mailbox.ts';

export interface BundleRoomParts extends Omit<BundleDeskParts, 'inTurn'> {
  readonly attester: BundleDeskParts['attester'] & Pick<Attester, 'takeResult' | 'verdict'>;
  /** Has `work` done when nothing else is being done. */
  readonly soon: (work: () => Promise<void>) => void;
}

/** Longest signed result: as over the broker. */
const RESULT_BYTES = 256 * 1024;

async function wholeOf(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  let length = 0;
  for await (const piece of bytes) {
    length += piece.length;
    if (length > RESULT_BYTES) {
      throw new WireError('WIRE_LIMIT', `longer than ${RESULT_BYTES} bytes`, { field: 'result', offset: length });
    }
    all.push(piece);
  }
  return Buffer.concat(all);
}

/** What is done with each question on the socket of bundles. */
export function serveBundles(parts: BundleRoomParts): Serve<BundleAsk> {
  const { attester } = parts;
  const inItsTurn = async <T>(work: () => Promise<T>): Promise<T> => inTurn(parts.soon, work);
  const desk = new BundleDesk({ ...parts, inTurn: inItsTurn });
  return async (ask, bytes, tell, signal) => {
    if (ask.do === 'bundle') {
      const { receipt, ...end } = await desk.apply(bytes, ask.when, tell, signal);
      return { ...end, receipt: receipt === null ? null : receipt.toString('base64') };
    }
    const result = await wholeOf(bytes);
    return inItsTurn(async () => {
      const judgement = await attester.takeResult(result);
      return {
        taken: judgement.taken,
        lease: judgement.taken && judgement.lease,
        why: judgement.taken ? null : judgement.why,
        verdict: attester.verdict,
      };
    });
  };
}
