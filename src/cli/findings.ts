// Findings as people and scripts see them: which rule, expected, found, who says so, what to do now.
import { RULES } from '../rules/catalogue.ts';
import type { Finding } from '../rules/finding.ts';
import { cleanText } from './output.ts';
import type { Json, Output } from './output.ts';

/** One document for each finding, with what to do now. */
export function findingDocuments(findings: readonly Finding[]): Json[] {
  return findings.map((finding) => ({ ...finding, now: RULES[finding.rule].now }));
}

/** A few lines for each finding. Text of others is cleaned. */
export function findingLines(output: Output, findings: readonly Finding[]): string[] {
  return findings.flatMap((finding) => [
    `  ${output.paint(finding.status === 'warning' ? 'yellow' : 'red', finding.rule)}: ${RULES[finding.rule].demands}`,
    `    expected:   ${cleanText(finding.expected)}`,
    `    found:      ${cleanText(finding.found)}`,
    `    says:       ${cleanText(finding.source)}`,
    `    what to do: ${RULES[finding.rule].now}`,
  ]);
}
