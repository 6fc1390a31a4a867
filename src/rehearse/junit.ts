// A rehearsal as JUnit XML, which build servers show: one suite for each profile, one case for each scene.
import { RULES } from '../rules/catalogue.ts';
import type { RehearsalReport, SceneReport } from './report.ts';

/** Characters that XML 1.0 allows, with its five entities; everything else becomes visible `\u{…}`. */
function xmlText(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  return text
    .toWellFormed()
    .replaceAll(
      /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,
      (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`,
    )
    .replaceAll(/[&<>"']/g, (one) => entities[one] ?? one);
}

/** An attribute: line breaks would be read as spaces. */
function attribute(text: string): string {
  return xmlText(text).replaceAll('\t', '&#9;').replaceAll('\n', '&#10;').replaceAll('\r', '&#13;');
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

function testCase(suite: string, { name, title, expected, saw, result, rule, details, ms }: SceneReport): string {
  const open = `    <testcase classname="${attribute(suite)}" name="${attribute(`${name}: ${title}`)}" time="${seconds(ms)}"`;
  if (result === 'passed') return `${open}/>`;
  if (result === 'skipped') return `${open}>\n      <skipped message="${attribute(saw)}"/>\n    </testcase>`;
  const body = [
    `expected: ${expected}`,
    `saw: ${saw}`,
    ...details,
    ...(rule !== null && Object.hasOwn(RULES, rule) ? [`touchstone explain ${rule}`] : []),
  ];
  const failure = `      <failure type="${attribute(rule ?? name)}" message="${attribute(saw)}">${xmlText(body.join('\n'))}</failure>`;
  return `${open}>\n${failure}\n    </testcase>`;
}

/** The document. Times in seconds. */
export function junit(reports: readonly RehearsalReport[]): string {
  const counts = (scenes: readonly SceneReport[]): string => {
    const count = (result: SceneReport['result']): number => scenes.filter((scene) => scene.result === result).length;
    const time = seconds(scenes.reduce((sum, scene) => sum + scene.ms, 0));
    return `tests="${scenes.length}" failures="${count('failed')}" errors="0" skipped="${count('skipped')}" time="${time}"`;
  };
  const suites = reports.map((report) => {
    const { release } = report;
    const what = release === null ? 'a release' : `${release.modelId} ${release.version}`;
    const { fleet, from, profile } = report;
    const before = from === null ? '' : ` after ${from.version}`;
    const devices = fleet === null ? '' : ` (${fleet.devices} of the fleet's devices)`;
    const suite = `touchstone rehearse ${what}${before} on ${profile.id}${devices}`;
    // Reports of one profile must not look like runs of the same tests.
    const running = fleet?.running ?? from?.id ?? null;
    const place = [profile.id, ...(running === null ? [] : [`after-${running.slice(0, 12)}`])];
    if (typeof fleet?.floor === 'number') place.push(`floor-${fleet.floor}`);
    const cases = report.scenes.map((scene) => testCase(`touchstone.${place.join('.')}`, scene));
    return [`  <testsuite name="${attribute(suite)}" ${counts(report.scenes)}>`, ...cases, '  </testsuite>'].join('\n');
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="touchstone rehearse" ${counts(reports.flatMap((report) => report.scenes))}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}
