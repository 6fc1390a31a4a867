// Thrown where the TPM is no longer as the log says: the agent starts again, and the start explains it.
import { TpmError } from '../tpm/tpm-error.ts';

/** `epoch`: the TPM was reset or resumed while the agent ran. `pcr`: the PCR holds what no event of the log explains. */
export type Moved = 'epoch' | 'pcr';

const WORDS: Readonly<Record<Moved, string>> = {
  epoch: 'the TPM was reset, restarted or resumed while the agent ran',
  pcr: 'the event PCR holds a value that the log does not explain',
};

/** Code TPM_MOVED. */
export class EpochMoved extends TpmError {
  readonly moved: Moved;

  constructor(moved: Moved) {
    super('TPM_MOVED', WORDS[moved]);
    this.moved = moved;
  }
}
