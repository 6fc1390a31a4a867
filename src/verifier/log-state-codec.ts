// The log state of a row as bytes: what the verifier left behind, kept exactly.
import { decodeCbor, encodeCbor } from '../bytes/cbor.ts';
import type { CborValue } from '../bytes/cbor.ts';
import { byteString, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { epochShape } from '../evidence/claims.ts';
import type { Components } from '../cel/events.ts';
import type { LogState } from './types.ts';

const LIMITS = { maxBytes: 4 * 1024 * 1024, maxDepth: 12, maxItems: 100_000 };
const digest = byteString(32);

export const componentsShape: Shape<Components> = v.object({
  agent: digest,
  node: digest,
  profile: digest,
  trust: digest,
  runtime: v.nullable(digest),
  gateMode: v.picklist(['none', 'kernel']),
});

export const logStateShape: Shape<LogState> = v.object({
  epoch: epochShape,
  seq: uint(),
  pcr: digest,
  session: v.nullable(byteString(16)),
  components: v.nullable(componentsShape),
  startedSession: v.nullable(byteString(16)),
  tpmLife: v.exactOptional(digest),
  floors: v.exactOptional(v.array(v.object({ slot: text(64), floor: uint() }))),
  floorsCertified: v.exactOptional(v.literal(true)),
  floorGeneration: v.exactOptional(uint()),
  engines: v.exactOptional(
    v.array(
      v.object({
        slot: text(64),
        statement: digest,
        compiler: digest,
        engine: v.nullable(digest),
        origin: v.picklist(['made', 'unseen', 'altered', 'strange']),
      }),
    ),
  ),
  enginesMade: v.exactOptional(
    v.array(v.object({ slot: text(64), statement: digest, compiler: digest, engine: digest })),
  ),
  foreignExtensions: uint(),
  bootExplained: v.boolean(),
  slots: v.array(
    v.object({
      slot: text(64),
      release: v.nullable(digest),
      statement: v.nullable(digest),
      manifest: digest,
      configs: v.nullable(digest),
      differing: v.array(v.object({ path: text(4096), expected: v.nullable(digest), found: v.nullable(digest) })),
      more: uint(),
      wasWrong: v.boolean(),
    }),
  ),
});

export function encodeLogState(state: LogState): Buffer {
  return encodeCbor(state as unknown as CborValue);
}

/** Errors: WireError when the registry holds something else. */
export function decodeLogState(bytes: Uint8Array): LogState {
  return parseShape(logStateShape, decodeCbor(bytes, LIMITS), 'logState');
}
