// Asks the TPM from a process that can be ended: a call into libtss2 that hangs would keep this one from ending.
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SurveyAnswer } from './tpm-survey-worker.ts';

/** Longer than the longest that the survey of a TPM that answers may take: two RSA keys on a slow chip. */
const LIMIT_MS = 300_000;

/** What the TPM tells, or why not. `limitMs`: after which the asking process is ended. Errors: Error when it ended by itself, a bug. */
export function probeTpm(tcti: string, limitMs: number = LIMIT_MS): Promise<SurveyAnswer> {
  const file = fileURLToPath(new URL(`./tpm-survey-worker${extname(import.meta.url)}`, import.meta.url));
  const child = fork(file, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let told: SurveyAnswer | null = null;
    const timer = setTimeout(() => {
      const seconds = `no answer within ${limitMs / 1000} s`;
      told ??= { code: 'TPM_TIMEOUT', message: `the TPM at ${tcti}: ${seconds}`, causes: [] };
      child.kill('SIGKILL');
    }, limitMs);
    child.once('message', (message) => {
      told = message as SurveyAnswer;
      // Its thread may hang in the call that was not answered.
      child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      if (told === null) reject(new Error(`the process that asks the TPM ended with ${code ?? 'a signal'}`));
      else resolve(told);
    });
    child.send(tcti);
  });
}
