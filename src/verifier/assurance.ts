// What the hardware proves of a verdict. Computed here from what was verified; no device can claim it.
import type { Assurance } from '../protocol/messages.ts';
import type { Expected } from './contexts.ts';
import type { Findings } from './findings.ts';

/**
 * A0: self-reported (no verified chain to a TPM vendor). A1: hardware TPM, agent honest by assumption. A2: every boot PCR of the
 * profile matched reference values that cover agent and gate. A3: A2 with the kernel gate enforcing.
 */
export function assuranceOf({ input, bootPcr, state }: Expected, findings: Findings): Assurance {
  const { reference, endorsement } = input;
  if (endorsement.endorsement.tier !== 'hardware') return 'A0';
  const { bootPcrs: quoted } = reference.profile;
  const wholeBoot =
    quoted.length > 0 && quoted.every((pcr) => bootPcr(pcr) !== undefined && reference.bootPcrs.has(pcr));
  const measured = wholeBoot && reference.bootCoversAgent && reference.components !== null;
  if (!measured || findings.of('device') === 'contraindicated' || findings.of('device') === 'none') return 'A1';
  return state.components?.gateMode === 'kernel' ? 'A3' : 'A2';
}
