// Root statements in a row, from fleet.json or from one that is believed already to the newest: how root keys may change.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { toUtf8 } from '../bytes/text.ts';
import { dsseShape } from '../crypto/dsse.ts';
import type { DsseEnvelope } from '../crypto/dsse.ts';
import type { ReleaseFault } from './judgement.ts';
import type { Check } from './open-checks.ts';
import { judgeLink, LINK_CHECKS, readRoot, rootSigners } from './root-link.ts';
import type { LinkFacts, RootSigners } from './root-link.ts';
import type { FleetFile, RootStatement } from './types.ts';

/** Longest root.json: it must fit into one message to a device. */
export const ROOT_FILE_BYTES: number = 256 * 1024;
const MAX_LINKS = 64;

const chainShape: Shape<{ v: 1; chain: DsseEnvelope[] }> = v.object({
  v: v.literal(1),
  chain: v.pipe(v.array(dsseShape), v.minLength(1), v.maxLength(MAX_LINKS)),
});

/** The statements of a root.json: one envelope, or {v, chain} with several, oldest first. Errors: WireError. */
export function parseRootFile(bytes: Uint8Array): readonly DsseEnvelope[] {
  const json = parseJsonStrict(bytes, { maxBytes: ROOT_FILE_BYTES, maxDepth: 8 });
  const isChain = typeof json === 'object' && json !== null && 'chain' in json;
  return isChain ? parseShape(chainShape, json, 'chain').chain : [parseShape(dsseShape, json, 'envelope')];
}

/** The bytes of a root.json. */
export function encodeRootFile(envelopes: readonly DsseEnvelope[]): Buffer {
  const [only, ...more] = envelopes;
  if (only === undefined) throw new RangeError('a root file holds at least one statement');
  return toUtf8(`${JSON.stringify(more.length === 0 ? only : { v: 1, chain: envelopes }, null, 2)}\n`);
}

/** A statement that was judged, with the bytes that prove it. */
export interface RootLink {
  readonly envelope: DsseEnvelope;
  readonly root: RootStatement;
  /** Ids of the root keys before it that signed it. */
  readonly signedBy: readonly string[];
}

function sameSigners(a: RootSigners, b: RootSigners): boolean {
  const ids = ({ keys }: RootSigners): string => [...new Set(keys.map((one) => one.id))].toSorted().join();
  return a.threshold === b.threshold && ids(a) === ids(b);
}

/** Leaves out statements after which the same keys decide as before: what follows them is proved without them. */
function needed(fleet: FleetFile, links: readonly RootLink[]): RootLink[] {
  let before = rootSigners(fleet);
  return links.filter((link, at) => {
    const after = rootSigners(link.root);
    if (at < links.length - 1 && sameSigners(before, after)) return false;
    before = after;
    return true;
  });
}

/** What it says of its version; only good for leaving it out. */
function claimedVersion(envelope: DsseEnvelope): number {
  const read = readRoot(Buffer.from(envelope.payload, 'base64'));
  return 'fault' in read ? Number.POSITIVE_INFINITY : read.value.version;
}

/**
 * Every fault of the first statement that has one; otherwise all that are needed, oldest first. With `known` (not empty) statements up
 * to its last are passed over, and the next must be signed by the keys of that last one: who stole keys that were replaced since can
 * say nothing any more. `least`: version below which the last must not be. Never throws on bad bytes.
 */
export function judgeChain(
  fleet: FleetFile,
  envelopes: readonly DsseEnvelope[],
  { known = [], least = 0 }: { readonly known?: readonly RootLink[]; readonly least?: number } = {},
  checks: readonly Check<LinkFacts>[] = LINK_CHECKS,
): { links: readonly RootLink[] } | { faults: readonly ReleaseFault[] } {
  const links = [...known];
  const start = known.at(-1)?.root.version ?? 0;
  const later = known.length === 0 ? envelopes : envelopes.filter((one) => claimedVersion(one) > start);
  for (const [at, envelope] of later.entries()) {
    const before = links.at(-1)?.root;
    const next = (before?.version ?? 0) + 1;
    const place = {
      after: before ?? fleet,
      fleetId: fleet.fleetId,
      least: at === later.length - 1 ? Math.max(next, least) : next,
    };
    const judged = judgeLink(envelope, place, checks);
    if ('faults' in judged) return judged;
    links.push({ envelope, ...judged });
  }
  return { links: needed(fleet, links) };
}
