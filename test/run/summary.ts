// Turns vitest's JSON report and the checks' exit codes into the lines that end a test run, and into its exit code.

/** The part of vitest's JSON report that counts. */
export interface TestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export interface Stage {
  readonly name: string;
  readonly seconds: number;
  readonly ok: boolean;
}

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What a person must know beside the numbers. */
  readonly remarks: readonly string[];
}

/** The only reason for which a test may be skipped: its name says that it needs this folder, and the folder is not there. */
export const SHARED_DATA = '../shared/data';

/** Every test of the report, counted; a test file that could not even be loaded counts as one failure. */
function countTests(report: TestReport): Summary {
  let [passed, failed, skipped] = [0, 0, 0];
  const remarks: string[] = [];
  for (const file of report.testResults) {
    const outcomes = file.assertionResults;
    if (file.status === 'failed' && !outcomes.some((test) => test.status === 'failed')) {
      failed += 1;
      remarks.push(`failed outside of any test: ${file.name}`);
    }
    for (const { fullName, status } of outcomes) {
      if (status === 'passed') passed += 1;
      else if (status === 'failed') failed += 1;
      else if (fullName.includes(SHARED_DATA)) {
        skipped += 1;
        remarks.push(`skipped, ${SHARED_DATA} is not there: ${fullName}`);
      } else {
        failed += 1;
        remarks.push(`skipped or left to do without the reason that is allowed, counts as failed: ${fullName}`);
      }
    }
  }
  return { passed, failed, skipped, remarks };
}

/** The judgement of a whole run. `report` is undefined when vitest left none. A stage that failed is never hidden by the count. */
export function summarise(stages: readonly Stage[], report: TestReport | undefined): Summary {
  const counted = report === undefined ? { passed: 0, failed: 0, skipped: 0, remarks: [] } : countTests(report);
  const remarks = [...counted.remarks];
  let { failed } = counted;
  for (const stage of stages) {
    if (stage.ok || (stage.name === 'vitest' && counted.failed > 0)) continue;
    failed += 1;
    remarks.push(`${stage.name} failed`);
  }
  if (counted.passed + counted.failed === 0) {
    failed += 1;
    remarks.push('no test ran');
  }
  return { ...counted, failed, remarks };
}

/** The last lines of a run; the very last is the one that scripts read. */
export function summaryLines(stages: readonly Stage[], summary: Summary): string[] {
  return [
    ...summary.remarks,
    ...stages.map(({ name, seconds, ok }) => `${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`),
    `${summary.passed} passed, ${summary.failed} failed, ${summary.skipped} skipped`,
  ];
}
