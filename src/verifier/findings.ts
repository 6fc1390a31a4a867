// Collects what the checks find: all of it, but never more than a verdict can carry.
import type { Finding, Status } from '../rules/finding.ts';
import type { RuleId } from '../rules/catalogue.ts';

/** A verdict carries at most this many findings; the last one then says how many more there were. */
export const MAX_FINDINGS = 64;
/** Longest text of `expected` or `found`, in UTF-16 units. */
const MAX_TEXT = 512;

const SEVERITY: Readonly<Record<Status, number>> = { affirming: 0, warning: 1, none: 2, contraindicated: 3 };

/** The one that decides: contraindicated over none over warning over affirming. */
export function worse(a: Status, b: Status): Status {
  return SEVERITY[a] >= SEVERITY[b] ? a : b;
}

const CONTROL = /\p{Cc}/u;

/** Text for people: bounded, and free of control characters whoever wrote it. */
export function showText(text: string): string {
  const clean = CONTROL.test(text) ? text.replaceAll(/\p{Cc}/gu, '�') : text;
  return clean.length <= MAX_TEXT ? clean : `${clean.slice(0, MAX_TEXT)}…`;
}

export class Findings {
  readonly #kept: Finding[] = [];
  #dropped: Finding | null = null;
  #droppedCount = 0;
  readonly #bySubject = new Map<string, Status>();
  readonly #rules = new Set<RuleId>();
  #status: Status = 'affirming';

  add(rule: RuleId, status: Status, subject: string, expected: string, found: string, source: string): void {
    this.#status = worse(this.#status, status);
    this.#rules.add(rule);
    this.#bySubject.set(subject, worse(this.#bySubject.get(subject) ?? 'affirming', status));
    const finding = { rule, status, subject, expected: showText(expected), found: showText(found), source };
    if (this.#kept.length < MAX_FINDINGS - 1) {
      this.#kept.push(finding);
      return;
    }
    this.#droppedCount++;
    if (this.#dropped === null || worse(this.#dropped.status, status) !== this.#dropped.status) this.#dropped = finding;
  }

  get any(): boolean {
    return this.#kept.length > 0;
  }

  get status(): Status {
    return this.#status;
  }

  /** True when something was found by one of these rules. */
  hasAny(rules: readonly RuleId[]): boolean {
    return rules.some((rule) => this.#rules.has(rule));
  }

  /** The worst status found of `subject`; affirming when nothing was found. */
  of(subject: string): Status {
    return this.#bySubject.get(subject) ?? 'affirming';
  }

  list(): readonly Finding[] {
    if (this.#dropped === null) return this.#kept;
    const more = this.#droppedCount - 1;
    if (more === 0) return [...this.#kept, this.#dropped];
    return [...this.#kept, { ...this.#dropped, found: `${this.#dropped.found} (and ${more} more findings)` }];
  }
}
