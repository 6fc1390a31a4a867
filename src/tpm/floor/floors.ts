// The version floors of one device, as gate and agent use them: read, raise, provision, certify.
import { decode } from '../../bytes/wire.ts';
import type { DeviceTpm } from '../device-tpm.ts';
import type { Quote } from '../port.ts';
import { TpmResponseError } from '../tpm-error.ts';
import { TpmsAttest } from '../wire/attest.ts';
import { readFloorBytes, type FloorDefinition } from './definition.ts';
import { defineFloorIndices, writeFirstFloors, type FirstWriteOutcome, type FirstWriteToken } from './provision.ts';
import { raiseFloor, raiseRefusals, type RaiseOutcome, type RaiseRefusal, type RaiseToken } from './raise.ts';
import { readFloors, type FloorState } from './state.ts';

export interface CertifiedFloors {
  /** Of type NV. */
  readonly certificate: Quote;
  /** What it says. */
  readonly values: readonly bigint[];
}

/** Errors of every method: TpmError. Judgements are values. */
export class VersionFloors {
  readonly #device: DeviceTpm;
  readonly #definition: FloorDefinition;
  readonly #maxStep: bigint;

  /** `maxStep`: longest step that this device takes from the floor's authority; the root's may be longer. */
  constructor(device: DeviceTpm, definition: FloorDefinition, maxStep: bigint) {
    if (maxStep < 1n) throw new RangeError('a step is at least 1');
    this.#device = device;
    this.#definition = definition;
    this.#maxStep = maxStep;
  }

  /** Through a session salted by the EK: what somebody on the bus changes is an error, never another floor. */
  read(): Promise<FloorState> {
    return this.#device.withParts(async (parts) => readFloors(parts, this.#definition));
  }

  /** What of a token would be refused now. */
  async refusals(token: RaiseToken): Promise<readonly RaiseRefusal[]> {
    const state = await this.read();
    const floor = state.state === 'set' ? state.values[token.slot] : undefined;
    if (floor === undefined) return ['no-floors'];
    return raiseRefusals({ definition: this.#definition, token, floor, maxStep: this.#maxStep });
  }

  /** See raiseFloor. */
  raise(token: RaiseToken): Promise<RaiseOutcome> {
    return this.#device.withParts(async (parts) => raiseFloor(parts, this.#definition, token, this.#maxStep));
  }

  /** See defineFloorIndices. */
  define(): Promise<FloorState> {
    return this.#device.withParts(async (parts) => defineFloorIndices(parts, this.#definition));
  }

  /** See writeFirstFloors. */
  writeFirst(token: FirstWriteToken): Promise<FirstWriteOutcome> {
    return this.#device.withParts(async (parts) => writeFirstFloors(parts, this.#definition, token));
  }

  /**
   * The floors as the AK certifies them, in one command and without a session: nobody on the bus can make another certificate. Null when
   * they are not set, or this TPM cannot certify them: `read` then says what is there.
   */
  async certify(qualifyingData: Uint8Array): Promise<CertifiedFloors | null> {
    const { handle, written, publicArea } = this.#definition.floors;
    try {
      const certificate = await this.#device.certifyNv({ handle, name: written }, publicArea.dataSize, qualifyingData);
      const { attested } = decode(TpmsAttest, certificate.attest);
      if (attested.type !== 'nv' || !attested.nv.indexName.equals(written)) return null;
      return { certificate, values: readFloorBytes(attested.nv.nvContents) };
    } catch (error) {
      if (error instanceof TpmResponseError) return null;
      throw error;
    }
  }
}
