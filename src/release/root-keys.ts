// Keys as statements name them, and signatures over a root statement: one key after another, because they lie in different places.
import type { KeyObject } from 'node:crypto';
import { parseShape } from '../bytes/shape.ts';
import { toUtf8 } from '../bytes/text.ts';
import { signDsse } from '../crypto/dsse.ts';
import type { DsseEnvelope } from '../crypto/dsse.ts';
import { curveOf, importPublicKey, keyId } from '../crypto/ecdsa.ts';
import { WireError } from '../errors.ts';
import { rootStatementShape } from './types.ts';
import type { RootKey, RootStatement } from './types.ts';

export const ROOT_TYPE = 'application/vnd.touchstone.root+json';

/** A key as statements name it. */
export function rootKeyOf(key: KeyObject, publicPem: string): RootKey {
  return { id: keyId(key), publicPem };
}

/** Keys by id. Errors: WireError when a PEM is no key of ours, or is not the key that its id names: an id must have one key only. */
export function importKeys(keys: readonly RootKey[]): Map<string, KeyObject> {
  const byId = new Map<string, KeyObject>();
  for (const { id, publicPem } of keys) {
    const key = importPublicKey(publicPem);
    if (keyId(key) !== id) throw new WireError('WIRE_RANGE', 'the id is not that of the key', { field: id, offset: 0 });
    byId.set(id, key);
  }
  return byId;
}

/** Every key that a statement names, revoked ones too; one with two roles comes twice. */
export function keysOf(root: RootStatement): readonly RootKey[] {
  const single = [root.floorRecovery, root.escrow].filter((key) => key !== undefined);
  const { stations = [] } = root;
  return [
    ...root.root.keys,
    ...root.publishers,
    ...root.floor,
    ...single,
    ...stations,
    ...root.operators,
    ...root.results,
  ];
}

/** The key that devices seal their TPM's auth values to; null where none is named, or it is revoked. Errors: WireError. */
export function escrowKeyOf({
  escrow,
  revoked,
}: RootStatement): { readonly id: string; readonly key: KeyObject } | null {
  if (escrow === undefined || revoked.some(({ id }) => id === escrow.id)) return null;
  const key = importKeys([escrow]).get(escrow.id);
  return key === undefined || curveOf(key).name !== 'p256' ? null : { id: escrow.id, key };
}

/** A root statement signed by `keys`. Errors: WireError when a field is outside of its shape. */
export function signRoot(statement: RootStatement, keys: readonly KeyObject[]): DsseEnvelope {
  const checked = parseShape(rootStatementShape, statement, 'root');
  return signDsse(ROOT_TYPE, toUtf8(JSON.stringify(checked)), keys);
}

/** Adds one more signature over the same bytes: root keys lie in different places. */
export function countersignRoot(envelope: DsseEnvelope, key: KeyObject): DsseEnvelope {
  const more = signDsse(ROOT_TYPE, Buffer.from(envelope.payload, 'base64'), [key]);
  const others = envelope.signatures.filter((one) => one.keyid !== keyId(key));
  return { ...envelope, signatures: [...others, ...more.signatures] };
}
