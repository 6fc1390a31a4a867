// A root statement as people and scripts see it: who may what, until when, and what is still to be signed.
import { dayText } from '../bytes/text.ts';
import type { RootProposal, SideSigned } from '../release/root-change.ts';
import { rolesOf } from '../release/root-change.ts';
import { keysOf } from '../release/root-keys.ts';
import { rootSigners } from '../release/root-link.ts';
import type { RootKey, RootStatement } from '../release/types.ts';
import { cleanText, table } from './output.ts';
import type { Json, Output } from './output.ts';

const DAY_MS = 86_400_000;
/** From then on every look at the statement says that it ends soon: its holders must meet before. */
const SOON_DAYS = 90;

export function daysLeft(root: RootStatement, now: number): number {
  return Math.floor((root.expires - now) / DAY_MS);
}

/** What to say of its end; null while that is far away. */
export function endWarning(root: RootStatement, now: number): string | null {
  const days = daysLeft(root, now);
  const renew = 'renew it: touchstone fleet rotate';
  if (days < 0) return `root statement ${root.version} has ended: devices take no new releases; ${renew}`;
  return days < SOON_DAYS ? `root statement ${root.version} ends in ${days} days; ${renew}` : null;
}

const keyDocument = (root: RootStatement, { id }: RootKey): { id: string; revoked: boolean } => ({
  id,
  revoked: root.revoked.some((one) => one.id === id),
});

export function rootDocument(root: RootStatement, now: number): { readonly [name: string]: Json } {
  const keys = (list: readonly RootKey[]): Json[] => list.map((key) => keyDocument(root, key));
  return {
    fleetId: root.fleetId,
    version: root.version,
    issuedAt: root.issuedAt,
    expires: root.expires,
    daysLeft: daysLeft(root, now),
    expired: now > root.expires,
    root: { threshold: root.root.threshold, keys: keys(root.root.keys) },
    publishers: root.publishers.map((one) => ({ ...keyDocument(root, one), modelIds: [...one.modelIds] })),
    releaseThresholds: (root.releaseThresholds ?? []).map((one) => ({ ...one })),
    floor: keys(root.floor),
    stations: (root.stations ?? []).map((one) => ({ ...keyDocument(root, one), profiles: [...one.profiles] })),
    operators: keys(root.operators),
    results: keys(root.results),
    revoked: root.revoked.map((one) => ({ ...one })),
  };
}

/** A heading and a line for each key. */
export function rootLines(output: Output, root: RootStatement): string[] {
  const ids = [...new Set([...keysOf(root), ...root.revoked].map((one) => one.id))];
  const rows = ids.map((id) => {
    const gone = root.revoked.find((one) => one.id === id);
    const state =
      gone === undefined ? output.paint('green', 'good') : output.paint('red', `revoked: ${cleanText(gone.reason)}`);
    return [id, cleanText(rolesOf(root, id).join('; ') || 'nothing'), state];
  });
  const { threshold, keys } = rootSigners(root);
  return [
    `root statement ${root.version} of fleet ${root.fleetId}, from ${dayText(root.issuedAt)} until ${dayText(root.expires)}`,
    `  ${threshold} of ${keys.length} root keys decide together`,
    ...(root.releaseThresholds ?? []).map(
      (one) => `  a release of ${cleanText(one.modelId)} needs ${one.threshold} publishers`,
    ),
    '',
    table(['key', 'may', 'state'], rows),
  ];
}

function sideDocument({ threshold, signed }: SideSigned): Json {
  return { threshold, signed: [...signed], missing: Math.max(0, threshold - signed.length) };
}

export function proposalDocument(proposal: RootProposal, now: number): { readonly [name: string]: Json } {
  return {
    statement: rootDocument(proposal.root, now),
    complete: proposal.complete,
    byBefore: sideDocument(proposal.byBefore),
    byItself: sideDocument(proposal.byItself),
  };
}

function sideLine(output: Output, who: string, { threshold, keys, signed }: SideSigned): string {
  const enough = signed.length >= threshold;
  const words = `signed by ${signed.length} of the ${threshold} that it needs of the ${keys.length} ${who}`;
  return `  ${output.paint(enough ? 'green' : 'yellow', words)}`;
}

/** What changes for each key, and what is still to be signed. */
export function proposalLines(output: Output, { before, root, byBefore, byItself }: RootProposal): string[] {
  const ids = (one: RootStatement): string[] => keysOf(one).map((key) => key.id);
  const standing = (one: RootStatement, id: string): string => {
    const gone = one.revoked.find((revoked) => revoked.id === id);
    return gone === undefined ? rolesOf(one, id).join('; ') || 'nothing' : `revoked: ${gone.reason}`;
  };
  const changed = [...new Set([...ids(before), ...ids(root)])]
    .map((id) => ({ id, was: standing(before, id), is: standing(root, id) }))
    .filter(({ was, is }) => was !== is)
    .map(({ id, was, is }) => `  ${id}: ${cleanText(was)} → ${cleanText(is)}`);
  const number = (one: RootStatement): string => JSON.stringify([one.root.threshold, one.releaseThresholds ?? []]);
  return [
    `root statement ${root.version} after ${before.version}, until ${dayText(root.expires)}`,
    ...changed,
    ...(number(before) === number(root)
      ? []
      : [`  signatures needed: ${cleanText(number(before))} → ${cleanText(number(root))}`]),
    sideLine(output, `root keys of statement ${before.version}`, byBefore),
    sideLine(output, 'root keys that it names', byItself),
  ];
}
