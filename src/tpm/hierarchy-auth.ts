// Authorising by a hierarchy: its auth value proves itself in a session and never goes over the bus.
import { password, type Authorization } from './commands/authorization.ts';
import type { CommandQueue } from './queue.ts';
import { startSession } from './sessions/start.ts';

/** Auth values of the hierarchies; absent means empty, as every TPM comes. Secrets: never log them. */
export interface HierarchyAuths {
  readonly owner?: Buffer;
  readonly endorsement?: Buffer;
  readonly lockout?: Buffer;
}

/** Those of `auths` that are in effect: a TPM that was cleared has empty values again, whatever was set before. */
export function authsInEffect(
  auths: HierarchyAuths,
  set: { readonly ownerAuthSet: boolean; readonly endorsementAuthSet: boolean; readonly lockoutAuthSet: boolean },
): HierarchyAuths {
  const { owner, endorsement, lockout } = auths;
  return {
    ...(set.ownerAuthSet && owner !== undefined ? { owner } : {}),
    ...(set.endorsementAuthSet && endorsement !== undefined ? { endorsement } : {}),
    ...(set.lockoutAuthSet && lockout !== undefined ? { lockout } : {}),
  };
}

/** Runs `work` with an authorisation for an entity whose auth value is `value`. */
export async function withAuth<T>(
  tpm: CommandQueue,
  value: Buffer | undefined,
  work: (auth: Authorization) => Promise<T>,
): Promise<T> {
  if (value === undefined || value.length === 0) return work(password());
  await using session = await startSession(tpm);
  return await work(session.use({ auth: value }));
}
