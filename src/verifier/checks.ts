// Every check in the order it runs. A stage runs whole; the next one only when nothing before it forbids.
import { askedChecks } from './checks/asked.ts';
import { quotedChecks, signedChecks } from './checks/authentic.ts';
import { deviceChecks } from './checks/device.ts';
import { engineChecks } from './checks/engines.ts';
import { explainedChecks } from './checks/explained.ts';
import { floorCertificateChecks } from './checks/floor-certificate.ts';
import { floorChecks } from './checks/floors.ts';
import { slotChecks } from './checks/slots.ts';
import type { Asked, Check, Expected, Explained, Quoted, Signed } from './contexts.ts';

export interface Checks {
  /** Failing means: no verdict. */
  readonly asked: readonly Check<Asked>[];
  readonly signed: readonly Check<Signed>[];
  readonly quoted: readonly Check<Quoted>[];
  /** Failing means: about this device, but its log state does not advance. */
  readonly explained: readonly Check<Explained>[];
  /** Failing means: accepted, and not as expected. */
  readonly expected: readonly Check<Expected>[];
}

export const checks: Checks = {
  asked: askedChecks,
  signed: signedChecks,
  quoted: quotedChecks,
  explained: explainedChecks,
  expected: [...deviceChecks, ...slotChecks, ...engineChecks, ...floorChecks, ...floorCertificateChecks],
};
