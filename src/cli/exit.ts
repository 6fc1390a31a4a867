// The exit codes that scripts rely on.

export const EXIT = {
  /** Done, or trusted. */
  done: 0,
  /** A judgement against: refused, untrusted, bad signature. */
  against: 1,
  /** Wrong usage. */
  usage: 2,
  /** The operation failed: TPM, network, disk. */
  failed: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
