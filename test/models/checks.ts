// What each model must show: every property with all rules holds, and breaks when one rule is taken away.

export type ModelName = 'journal' | 'acceptance' | 'upgrade' | 'command' | 'lease';

export interface ModelCheck {
  readonly model: ModelName;
  readonly property: number;
  /** Macro of the rule that is taken away; null: all rules. */
  readonly without: string | null;
  /** Bounds, as name → value. */
  readonly bounds?: Readonly<Record<string, number>>;
  /** Every run ends: a cycle is the counterexample. */
  readonly ends?: boolean;
  readonly sentence: string;
}

type Rest = Omit<ModelCheck, 'model' | 'property' | 'without' | 'sentence'>;

const holds = (model: ModelName, property: number, sentence: string, rest: Rest = {}): ModelCheck => {
  return { model, property, without: null, sentence, ...rest };
};
const breaks = (
  model: ModelName,
  property: number,
  without: string,
  sentence: string,
  rest: Rest = {},
): ModelCheck => ({ model, property, without, sentence, ...rest });

const ALONE = { bounds: { STRANGERS: 0, EVENTS: 2 } };
const GLASS = { bounds: { BREAKS: 2, RESTORES: 0 } };
const CLEARED = { bounds: { CLEARS: 1, CUTS: 1 } };
const LONG_CLEARED = { bounds: { CLEARS: 1, TMAX: 6 } };
const TWO = { bounds: { EVENTS: 2 } };

export const MODEL_CHECKS: readonly ModelCheck[] = [
  holds('journal', 1, 'what is published replays to the quoted PCR in the quoted epoch, strangers included'),
  holds('journal', 2, 'without a stranger nothing is explained as one'),
  holds('journal', 3, 'no event is lost or doubled'),
  breaks('journal', 1, 'STILL_SO', 'a quote that a stranger got into is published'),
  breaks('journal', 1, 'QUOTE_SHOWS', 'a quote of another PCR value is published unseen'),
  breaks('journal', 1, 'QUOTED_EPOCH', 'a quote of another epoch is published under the epoch of the log'),
  breaks('journal', 2, 'BARRIER', 'a command sent before the start runs after the look', ALONE),
  breaks('journal', 2, 'SYNC_INTENT', 'the extend outlives the intent that explains it', ALONE),
  breaks('journal', 2, 'QUOTE_LOCK', 'a quote is taken between extend and done', ALONE),
  breaks('journal', 2, 'EPOCH_AROUND', 'epoch and PCR are of two moments', ALONE),
  breaks('journal', 2, 'EPOCH_DONE', 'done after a TPM reset under the agent', ALONE),
  breaks('journal', 2, 'CROSS', 'an extend that ran in the new epoch has no event', ALONE),
  breaks('journal', 2, 'RESUME', 'PCRs that a suspend kept are strange to an empty log', ALONE),
  breaks('journal', 3, 'REPEAT', 'the event that a stranger overtook is forgotten', TWO),

  holds('acceptance', 1, 'each challenge is accepted at most once'),
  holds('acceptance', 2, 'log state never goes back, mixes no epochs, has no gap'),
  holds('acceptance', 3, 'a newer verdict is of newer evidence'),
  holds('acceptance', 4, 'nothing older than the life of its challenge and twice the skew is judged good'),
  holds('acceptance', 5, 'an undisturbed round succeeds from every state'),
  holds('acceptance', 5, '… beside a controller whose clock is far ahead', { bounds: { SKEW: 4, TMAX: 3 } }),
  breaks('acceptance', 1, 'SUPERSEDED', 'an old challenge is accepted at the present generation'),
  breaks('acceptance', 1, 'COMPARE_AND_SET', 'two controllers accept the same evidence'),
  breaks('acceptance', 2, 'COMPARE_AND_SET', 'the log goes back to where it was before'),
  breaks('acceptance', 5, 'ASK_FRESH', 'a challenge for a row of the past can never be answered'),
  breaks('acceptance', 3, 'COMPARE_AND_SET', 'the later writer has the older evidence'),
  breaks('acceptance', 4, 'LATE', 'an answer that a broker kept back counts', { bounds: { TMAX: 5 } }),
  breaks('acceptance', 4, 'VALID_FOR', 'who carries a challenge gives it a longer life', { bounds: { TMAX: 5 } }),

  holds('upgrade', 1, 'nothing below the floor is ever activated'),
  holds('upgrade', 2, 'a start ends with one loadable release at or above the floor'),
  holds('upgrade', 3, 'the floor is at most what passed its trial here'),
  holds('upgrade', 4, 'every run settles', { ends: true }),
  holds('upgrade', 5, 'what was committed is not thrown away for a fallback below the floor'),
  breaks('upgrade', 1, 'RECHECK', 'the floor is compared at staging only'),
  breaks('upgrade', 1, 'RECHECK_COMMITTING', 'a restored commitment is gone on with, below the floor'),
  breaks('upgrade', 2, 'FORWARD', 'a commitment is rolled back after its floor was raised'),
  breaks('upgrade', 3, 'AFTER_HEALTH', 'the floor rises for a release that never passed its trial'),
  breaks('upgrade', 2, 'FLOOR_FIRST', 'committed, and the cut comes before the floor'),
  breaks('upgrade', 4, 'TRIAL_BOOTS', 'a release that kills the device is tried for ever', { ends: true }),
  breaks('upgrade', 5, 'WAS_COMMITTED', 'a restored trial throws away the only loadable release'),

  holds('command', 1, 'no command of an old session is carried out'),
  holds('command', 2, 'each command is carried out at most once'),
  holds('command', 3, 'no report is dropped before the controller has it'),
  holds('command', 4, 'no new report is taken for an old one'),
  holds('command', 5, 'no command is stuck'),
  breaks('command', 1, 'SESSION', 'a command for an earlier start is carried out'),
  breaks('command', 2, 'STARTED', 'cut between doing and reporting, done again', { bounds: { NATT: 0 } }),
  breaks('command', 3, 'NAMED', 'a kept result deletes a report that nobody has seen'),
  breaks('command', 4, 'NAMED', 'a number used twice names two reports'),
  breaks('command', 5, 'FRESH_SEQ', 'overtaken in its session, never signed again', { bounds: { NATT: 0 } }),

  holds('lease', 1, 'a lease runs at most its time after the quote it answers'),
  holds('lease', 1, 'and whoever clears the TPM', CLEARED),
  holds('lease', 2, 'no older result brings back a lease that a newer one ended'),
  holds('lease', 2, 'and whoever clears the TPM', { bounds: { ...CLEARED.bounds, RESTORES: 0 } }),
  holds('lease', 3, 'after a result that ends the lease none is running'),
  holds('lease', 3, 'and whoever clears the TPM', { bounds: { ...CLEARED.bounds, RESTORES: 0 } }),
  breaks('lease', 1, 'FROM_QUOTE', 'a result that was kept back starts a fresh lease'),
  breaks('lease', 1, 'RESET_COSTS', 'power cuts stretch the lease'),
  breaks('lease', 2, 'SESSION', 'a result for an earlier start counts'),
  breaks('lease', 2, 'ORDER', 'an older result comes after the newer one'),
  breaks('lease', 1, 'LIFE', 'a cleared TPM counts up to where the lease was given', LONG_CLEARED),
  breaks(
    'lease',
    1,
    'END_FIRST',
    'the new life is known and the cut comes before the old lease is ended',
    LONG_CLEARED,
  ),
  breaks('lease', 1, 'WATCH', 'the TPM is cleared under an agent that lives on', LONG_CLEARED),
  breaks('lease', 3, 'GRANTING', 'a result that trusts nothing grants a lease'),
  holds('lease', 4, 'break-glass lasts at most its time', GLASS),
  holds('lease', 5, 'there is no more break-glass than once until a lease ran again', GLASS),
  holds('lease', 4, 'and whoever clears the TPM', { bounds: { ...GLASS.bounds, ...CLEARED.bounds } }),
  breaks('lease', 4, 'RESET_COSTS', 'power cuts stretch the time of break-glass', GLASS),
  breaks('lease', 5, 'ONCE', 'who breaks the glass again and again goes on for ever', GLASS),
  breaks('lease', 5, 'MENDS_RUNNING', 'old results that were kept back mend the glass, one after the other', GLASS),
];
