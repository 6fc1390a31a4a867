// What every rule says of itself, so that a verdict can be explained to the person who must act on it.

export interface Rule {
  /** What the rule demands, as one sentence. */
  readonly demands: string;
  /** What to do now when it is broken. */
  readonly now: string;
  /** MITRE ATLAS technique that a breach is evidence for; null where it is none. */
  readonly atlas: string | null;
  /** Stage of ETSI GR SAI 004 that it belongs to. */
  readonly sai: string;
}
