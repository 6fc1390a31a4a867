// Writes the floors by a token: the commands of its policy, in the order that the authority approved.
import { createHash } from 'node:crypto';
import { nvWrite } from '../commands/nv.ts';
import { flushContext, loadExternal, type LoadedObject } from '../commands/objects.ts';
import {
  policyAuthorize,
  policyCpHash,
  policyNv,
  policyNvWritten,
  policyOr,
  policySecret,
} from '../commands/policy.ts';
import { verifySignature } from '../commands/signing.ts';
import type { CommandQueue } from '../queue.ts';
import { startSession } from '../sessions/start.ts';
import { approvalMessage } from '../wire/policy-digest.ts';
import { tpmSignature } from '../wire/signing-key.ts';
import type { TpmtTicket } from '../wire/signature.ts';
import type { FloorAuthority, FloorDefinition } from './definition.ts';
import {
  approvedPolicy,
  authorityOf,
  firstWriteConditions,
  floorWrite,
  floorWriteCpHash,
  raiseConditions,
  type FloorToken,
} from './token.ts';

/** The TPM's word that the authority signed. Errors: TpmResponseError when it did not. */
async function ticketFor(
  tpm: CommandQueue,
  authority: FloorAuthority,
  approved: Buffer,
  signature: Buffer,
): Promise<TpmtTicket> {
  const key = await loadExternal(tpm, authority.publicArea);
  try {
    const digest = createHash('sha256').update(approvalMessage(approved, authority.policyRef)).digest();
    return await verifySignature(tpm, key, digest, tpmSignature(signature));
  } finally {
    await flushContext(tpm, key);
  }
}

/** The policy session of one write, ready to authorise it. */
async function meetPolicy(
  tpm: CommandQueue,
  session: number,
  definition: FloorDefinition,
  token: FloorToken,
  ak: LoadedObject,
): Promise<void> {
  if (token.kind === 'first-write') await policyNvWritten(tpm, session, false);
  const conditions = token.kind === 'raise' ? raiseConditions(token) : firstWriteConditions(token);
  for (const { index: of, ...condition } of conditions) {
    const index = { handle: definition[of].handle, name: definition[of].written };
    await policyNv(tpm, session, { authHandle: index, index, ...condition });
  }
  if (token.kind === 'first-write') await policySecret(tpm, session, ak);
  await policyCpHash(tpm, session, floorWriteCpHash(definition, token));
}

/**
 * Asks the TPM for the write that the token allows, and nothing else: whether the floor is then as wanted must be read. `ak` answers for
 * the device of a first write. Errors: TpmResponseError when the TPM refuses, TpmError otherwise.
 */
export async function writeFloors(
  tpm: CommandQueue,
  definition: FloorDefinition,
  token: FloorToken,
  ak: LoadedObject,
): Promise<void> {
  const authority = authorityOf(definition, token.by);
  const approved = approvedPolicy(definition, token);
  const ticket = await ticketFor(tpm, authority, approved, token.signature);
  await using session = await startSession(tpm, { kind: 'policy' });
  await meetPolicy(tpm, session.handle, definition, token, ak);
  const { name: keyName, policyRef } = authority;
  await policyAuthorize(tpm, session.handle, { approvedPolicy: approved, policyRef, keyName, ticket });
  if (definition.authorities.length > 1) {
    await policyOr(
      tpm,
      session.handle,
      definition.authorities.map(({ branch }) => branch.bytes),
    );
  }
  const name = token.kind === 'raise' ? definition.floors.written : definition.floors.unwritten;
  const index = { handle: definition.floors.handle, name };
  const { data, offset } = floorWrite(token);
  await nvWrite(tpm, index, data, { authHandle: index, auth: session.use(), offset });
}
