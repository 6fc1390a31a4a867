// A TPM that was cleared counts from zero again: what was counted on its clock before ends with the TPM's life.
import type { Log } from '../log.ts';
import { endGlasses } from './glass-keeper.ts';
import type { Journal } from '../store/journal.ts';
import type { Tpm } from '../tpm/port.ts';

type LeaseJournal = Pick<Journal, 'get' | 'put' | 'lease' | 'setLease'>;

/** Nothing is left of it, wherever clock and counters stand. */
async function endLease(journal: LeaseJournal): Promise<void> {
  const lease = await journal.lease();
  if (lease !== null) await journal.setLease({ ...lease, leaseForMs: 0 });
}

/**
 * The life that the TPM is in. Where the journal knows another one, or none, lease and break-glass were given to that: they are ended,
 * and only then the life remembered, so that a power cut between the two does both again. To be called once a start, when the AK was made: what that
 * key signs later is of this life, because TPM2_Clear takes it away. Errors: TpmError; StoreError.
 */
export async function settleTpmLife(journal: LeaseJournal, tpm: Pick<Tpm, 'life'>, log: Log): Promise<Buffer> {
  const life = await tpm.life();
  const known = await journal.get('tpm-life');
  if (known?.equals(life) === true) return life;
  await endLease(journal);
  await endGlasses(journal);
  await journal.put('tpm-life', life);
  if (known !== null) {
    const lost = 'its version floors and auth values are gone, and no lease of before counts';
    log.write('error', 'tpm-cleared', `the TPM of this device was cleared: ${lost}`);
  }
  return life;
}
