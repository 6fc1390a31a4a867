// Endorsements outlive the key that signed them: a controller that has a newer result key signs them anew while the old one still counts.
import type { KeyObject } from 'node:crypto';
import { toUtf8 } from '../bytes/text.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { openStatement, signStatement } from '../protocol/statement.ts';
import type { Trust } from '../release/root.ts';
import type { Log } from '../log.ts';
import type { Registry } from './registry.ts';

export interface RenewalParts {
  readonly registry: Pick<Registry, 'devices' | 'endorseAgain'>;
  readonly trust: Pick<Trust, 'root' | 'resultKeys'>;
  readonly resultKey: KeyObject;
  readonly log: Log;
}

/**
 * Signs anew, word for word, what result keys signed that the root names before `resultKey`, and resolves to how many. What a revoked
 * key signed is left alone: its thief may have written it, with any date. Of two controllers only one with the newer key does it.
 * Errors: StoreError.
 */
export async function renewEndorsements({ registry, trust, resultKey, log }: RenewalParts): Promise<number> {
  const ids = trust.root.results.map(({ id }) => id);
  const older = new Set(ids.slice(0, Math.max(0, ids.indexOf(keyId(resultKey)))));
  const keys = new Map([...trust.resultKeys].filter(([id]) => older.has(id)));
  if (keys.size === 0) return 0;
  let count = 0;
  for (const { id, endorsement: before } of await registry.devices()) {
    const endorsement = before === null ? null : openStatement('endorsement', toUtf8(before), keys);
    if (before === null || endorsement === null) continue;
    const signed = signStatement('endorsement', endorsement, resultKey);
    if (await registry.endorseAgain(id, before, signed)) count += 1;
  }
  if (count > 0) log.write('info', 'endorsements', `${count} endorsements signed anew by the newer result key`);
  return count;
}
