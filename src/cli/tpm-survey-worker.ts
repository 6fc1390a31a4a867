// A process of its own that asks the TPM: one that never answers hangs this process, which its parent can end, and nothing else.
import { CommandQueue, type QueueTiming } from '../tpm/queue.ts';
import { surveyTpm, type TpmSurvey } from '../tpm/survey.ts';
import { TouchstoneError, type ErrorCode } from '../errors.ts';
import { openTctiTransport } from '../tpm/transport/tcti.ts';

/** What the parent gets. `causes`: messages, outermost first. */
export type SurveyAnswer =
  | { readonly survey: TpmSurvey }
  | { readonly code: ErrorCode; readonly message: string; readonly causes: readonly string[] };

/** A person waits: short but for the keys, which some chips need minutes for; the parent has its own limit. */
const TIMING: QueueTiming = {
  deadlines: { short: 5_000, nv: 10_000, key: 120_000 },
  grace: 0,
  backoff: [1, 10, 100, 500, 1000, 2000],
};

async function answer(tcti: string): Promise<SurveyAnswer> {
  try {
    await using queue = new CommandQueue(await openTctiTransport(tcti), { timing: TIMING });
    return { survey: await surveyTpm(queue) };
  } catch (error) {
    if (!(error instanceof TouchstoneError)) throw error;
    const causes = error.cause instanceof Error ? [error.cause.message] : [];
    return { code: error.code, message: error.message, causes };
  }
}

process.once('message', (tcti: string) => {
  // A rejection is a bug: it ends this process, and its parent says so. The parent also ends it once it has the answer.
  void answer(tcti).then((told) => process.send?.(told));
});
