// What is wrong with a release, as a value: faults that become findings once it is known of what and by whose word.
import { WireError } from '../errors.ts';
import type { Finding } from '../rules/finding.ts';
import type { ReleaseRuleId } from '../rules/release-rules.ts';

/** A broken rule with both sides of it. */
export interface ReleaseFault {
  readonly rule: ReleaseRuleId;
  readonly expected: string;
  readonly found: string;
}

/** Text out of a hostile file, short enough for a finding. */
export function shown(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 199)}…`;
}

/** `subject`: a slot's name, `release` or `root`; `source`: who stands for the expectation. */
export function toFinding(fault: ReleaseFault, subject: string, source: string): Finding {
  return {
    rule: fault.rule,
    status: 'contraindicated',
    subject,
    expected: shown(fault.expected),
    found: shown(fault.found),
    source,
  };
}

/** Runs a parser; what is malformed comes back as a fault, every other error goes on. */
export function orFault<T>(rule: ReleaseRuleId, what: string, parse: () => T): { value: T } | { fault: ReleaseFault } {
  try {
    return { value: parse() };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { fault: { rule, expected: `a well-formed ${what}`, found: `${what}: ${error.message}` } };
  }
}
