// The states of an agent; each carries what belongs to it, so that nothing is there that must not be.
import type { Bus } from '../bus/bus.ts';
import type { Enrolment } from './enrolment.ts';

/** What enrolment left: with it a device speaks to the fleet. PEM texts; `tlsKey` is secret. */
export interface Papers {
  readonly endorsement: string;
  readonly certificate: string;
  readonly tlsKey: string;
}

export type Phase =
  | { readonly at: 'starting' }
  /** No papers yet. */
  | { readonly at: 'unenrolled' }
  | { readonly at: 'enrolling'; readonly bus: Bus; readonly enrolment: Enrolment }
  | { readonly at: 'rejected'; readonly reason: string }
  | { readonly at: 'offline'; readonly papers: Papers }
  | { readonly at: 'serving'; readonly papers: Papers; readonly bus: Bus }
  | { readonly at: 'stopping' };

/** One sentence for the log. */
export function phaseWords(phase: Phase): string {
  switch (phase.at) {
    case 'starting':
      return 'starting';
    case 'unenrolled':
      return 'not enrolled yet: looking for the controller';
    case 'enrolling':
      return 'asking the controller to enrol this device';
    case 'rejected':
      return `the controller rejected this device: ${phase.reason}`;
    case 'offline':
      return 'enrolled; connecting to the broker';
    case 'serving':
      return 'connected: answering challenges';
    case 'stopping':
      return 'stopping';
    default:
      return phase satisfies never;
  }
}
