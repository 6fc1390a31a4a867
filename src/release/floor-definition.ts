// The version floors of a fleet's TPMs as its root statement defines them: the first floor key raises, the recovery key writes anew.
import type { KeyObject } from 'node:crypto';
import { curveOf } from '../crypto/ecdsa.ts';
import { defineFloors } from '../tpm/floor/definition.ts';
import type { FloorDefinition } from '../tpm/floor/definition.ts';
import { importKeys } from './root-keys.ts';
import type { RootKey, RootStatement } from './types.ts';

function onP256(keys: readonly RootKey[]): KeyObject | null {
  return [...importKeys(keys).values()].find((key) => curveOf(key).name === 'p256') ?? null;
}

/**
 * Null for a fleet without floor keys on P-256. Revoked or not, the first one stays: it is part of the index in every TPM, and another
 * would make all floors unreadable, which stops every device. What a revoked key signed is refused where a token is taken.
 */
export function floorDefinitionOf(root: RootStatement): FloorDefinition | null {
  const floor = onP256(root.floor);
  if (floor === null) return null;
  return defineFloors({ floor, root: root.floorRecovery === undefined ? null : onP256([root.floorRecovery]) });
}
