// The sentences of the measuring protocol, by the names that its model gives them: each is needed, and a test shows what breaks without it.

export const JOURNAL_RULES = {
  BARRIER: 'on start a command is answered before the PCR is read: what was sent earlier has run or never will',
  SYNC_INTENT: 'an intent is durable before its extend is sent',
  QUOTE_LOCK: 'a quote and the log it carries are taken only while no intent is open',
  EPOCH_AROUND: 'the epoch is read before and after the PCR, until both are equal',
  EPOCH_DONE: 'an intent is done only while the epoch is still its own',
  CROSS: 'in a new epoch, a PCR that holds the open intent alone is explained by it',
  RESUME: 'in a new epoch of the same reset, a PCR as the log left it continues the log',
  REPEAT: 'an intent that a foreign extension overtook is set aside and recorded again after it',
} as const;

export type JournalRule = keyof typeof JOURNAL_RULES;
/** Which sentences are followed. */
export type Followed = Readonly<Record<JournalRule, boolean>>;

export const ALL_RULES: Followed = {
  BARRIER: true,
  SYNC_INTENT: true,
  QUOTE_LOCK: true,
  EPOCH_AROUND: true,
  EPOCH_DONE: true,
  CROSS: true,
  RESUME: true,
  REPEAT: true,
};
