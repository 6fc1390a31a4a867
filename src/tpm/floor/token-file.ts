// Floor tokens as JSON: 64-bit numbers as decimal text, bytes as hex, nothing unknown accepted.
import { hexString, parseShape, v } from '../../bytes/shape.ts';
import type { Shape } from '../../bytes/shape.ts';
import { parseJsonStrict } from '../../bytes/json-strict.ts';
import { fromHex, toHex } from '../../bytes/text.ts';
import { FLOOR_SLOTS } from './definition.ts';
import type { FloorToken } from './token.ts';

const MAX_U64 = 2n ** 64n - 1n;
/** More than any token needs. */
const MAX_BYTES = 4096;

const DECIMAL = /^(?:0|[1-9]\d{0,19})$/;
/** One check, not two: the second of a pipe is asked also when the first has failed. */
const u64 = v.pipe(
  v.string(),
  v.check((text) => DECIMAL.test(text) && BigInt(text) <= MAX_U64, 'must be a decimal number below 2^64'),
);
const step = v.pipe(
  u64,
  v.check((text) => text !== '0', 'a step is at least 1'),
);
const common = { v: v.literal(1), by: v.picklist(['floor', 'root']), signature: hexString(64) };

type TokenJson =
  | { v: 1; by: 'floor' | 'root'; signature: string; kind: 'raise'; slot: number; to: string; maxStep: string }
  | {
      v: 1;
      by: 'floor' | 'root';
      signature: string;
      kind: 'first-write';
      values: string[];
      generation: string;
      akName: string;
    };

const tokenShape: Shape<TokenJson> = v.variant('kind', [
  v.strictObject({
    ...common,
    kind: v.literal('raise'),
    slot: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(FLOOR_SLOTS - 1)),
    to: u64,
    maxStep: step,
  }),
  v.strictObject({
    ...common,
    kind: v.literal('first-write'),
    values: v.pipe(v.array(u64), v.length(FLOOR_SLOTS)),
    generation: u64,
    akName: hexString(34),
  }),
]);

export function encodeFloorToken(token: FloorToken): Buffer {
  const head = { v: 1, kind: token.kind, by: token.by, signature: toHex(token.signature) };
  const body =
    token.kind === 'raise'
      ? { slot: token.slot, to: token.to.toString(), maxStep: token.maxStep.toString() }
      : {
          values: token.values.map(String),
          generation: token.generation.toString(),
          akName: toHex(token.akName),
        };
  return Buffer.from(JSON.stringify({ ...head, ...body }), 'utf8');
}

/** Nothing of it is proved until `isSigned`. Errors: WireError. */
export function decodeFloorToken(bytes: Uint8Array): FloorToken {
  const parsed = parseShape(tokenShape, parseJsonStrict(bytes, { maxBytes: MAX_BYTES, maxDepth: 4 }), 'floor token');
  const { by } = parsed;
  const signature = Buffer.from(fromHex(parsed.signature));
  if (parsed.kind === 'raise') {
    const { kind, slot } = parsed;
    return { kind, slot, to: BigInt(parsed.to), maxStep: BigInt(parsed.maxStep), by, signature };
  }
  return {
    kind: parsed.kind,
    values: parsed.values.map(BigInt),
    generation: BigInt(parsed.generation),
    akName: Buffer.from(fromHex(parsed.akName)),
    by,
    signature,
  };
}
