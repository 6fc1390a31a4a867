// The PCRs besides the event PCR: read once, and again only when a quote shows that they are others.
import { equalBytes, sha256, SHA256_BYTES } from '../crypto/digest.ts';
import type { PcrSelection, Quote, Tpm } from '../tpm/port.ts';

export interface Quoted<T> {
  readonly made: T;
  /** Whether the quote itself shows that the event PCR held the expected value at its moment. */
  readonly showsEvent: boolean;
}

/**
 * Firmware and kernel extend their PCRs while they start, and hardly ever later. A quote says itself whether the values are
 * the remembered ones, so nothing is believed: at worst the TPM is asked for a second quote.
 */
export class BootPcrs {
  readonly #eventPcr: number;
  #of = '';
  #values: readonly Buffer[] | null = null;

  constructor(eventPcr: number) {
    this.#eventPcr = eventPcr;
  }

  /**
   * The quote that `make` gives for the values of the selected PCRs other than the event PCR, which holds `eventValue`.
   * Where the quote shows other values they are read, and `make` is asked once more. Errors: TpmError, and those of `make`.
   */
  async quote<T extends { readonly quote: Quote }>(
    tpm: Pick<Tpm, 'readPcrs'>,
    selection: PcrSelection,
    eventValue: Uint8Array,
    make: (bootPcrs: readonly Buffer[]) => Promise<T>,
  ): Promise<Quoted<T>> {
    // A selection is what a challenge wants: without the event PCR its quote says nothing about that one.
    const ofEvent = selection.bank === 'sha256' && selection.pcrs.includes(this.#eventPcr);
    const of = `${selection.bank} ${selection.pcrs.join(' ')}`;
    const shows = ({ quote }: T, values: readonly Buffer[]): boolean => {
      let next = 0;
      const all = selection.pcrs.map((pcr) => (pcr === this.#eventPcr ? eventValue : (values[next++] ?? eventValue)));
      // TPMS_ATTEST of a quote ends with its pcrDigest (Part 2, 10.12.1), which is SHA-256 with every key that we make.
      return equalBytes(quote.attest.subarray(-SHA256_BYTES), sha256(...all));
    };
    if (this.#values !== null && this.#of === of) {
      const made = await make(this.#values);
      if (shows(made, this.#values)) return { made, showsEvent: ofEvent };
    }
    const others = selection.pcrs.filter((pcr) => pcr !== this.#eventPcr);
    const values = others.length === 0 ? [] : await tpm.readPcrs({ bank: selection.bank, pcrs: others });
    const made = await make(values);
    // Values that no quote has shown are not remembered: they would cost a quote each time.
    const shown = shows(made, values);
    [this.#of, this.#values] = [of, shown ? values : null];
    return { made, showsEvent: ofEvent && shown };
  }
}
