// The Floor port in memory: what a TPM keeps when the disk is turned back. It only ever rises.
import type { Floor } from '../../src/gate/floor.ts';

export class MemoryFloor implements Floor {
  value: bigint;
  /** How a raise goes: carried out, refused, or somebody else's raise came first. */
  next: 'done' | 'refused' | 'higher' = 'done';
  readonly #step: (name: string) => Promise<void> | void;

  constructor(value: bigint, step: (name: string) => Promise<void> | void = () => undefined) {
    this.value = value;
    this.#step = step;
  }

  async read(): Promise<bigint> {
    return this.value;
  }

  async raise(_slot: string, securityVersion: number): Promise<void> {
    await this.#step('TPM writes');
    const to = BigInt(securityVersion) + (this.next === 'higher' ? 1n : 0n);
    if (this.next !== 'refused' && to > this.value) this.value = to;
    await this.#step('TPM answers');
  }
}
