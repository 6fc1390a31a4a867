// JUnit XML holds whatever a release says of itself, and stays well-formed.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { junit } from '../../src/rehearse/junit.ts';
import type { RehearsalReport, SceneReport } from '../../src/rehearse/report.ts';
import { readXml } from '../support/xml.ts';

const scene = (change: Partial<SceneReport>): SceneReport => ({
  name: 'install',
  title: 'The device installs it',
  expected: 'installed',
  saw: 'attested',
  result: 'passed',
  rule: null,
  details: [],
  ms: 1500,
  ...change,
});

const report = (scenes: readonly SceneReport[], id = 'camera'): RehearsalReport => ({
  ok: true,
  rule: null,
  profile: { id, digest: '00', eventPcr: 14 },
  slot: null,
  fleet: null,
  release: null,
  from: null,
  scenes,
  predicted: null,
  run: null,
  resources: null,
  warnings: [],
  notes: [],
});

describe('JUnit of rehearsals', () => {
  test('has one suite for each profile and one case for each scene, with its time in seconds', () => {
    const root = readXml(junit([report([scene({}), scene({ name: 'verdict' })]), report([scene({})], 'gateway')]));
    expect(root.find('testsuite').map((suite) => suite.attributes['tests'])).toEqual(['2', '1']);
    expect(root.find('testcase').map((one) => one.attributes['classname'])).toEqual([
      'touchstone.camera',
      'touchstone.camera',
      'touchstone.gateway',
    ]);
    expect(root.find('testcase')[0]?.attributes['time']).toBe('1.500');
  });

  test('names the rule as the type of a failure, and what to do in its text', () => {
    const failed = scene({ result: 'failed', rule: 'release-older', saw: 'refused' });
    const [failure] = readXml(junit([report([failed])])).find('failure');
    expect(failure?.attributes).toEqual({ type: 'release-older', message: 'refused' });
    expect(failure?.text).toContain('touchstone explain release-older');
  });

  test('shows a scene that was not reached as skipped, not as passed', () => {
    const xml = readXml(junit([report([scene({ result: 'skipped', saw: 'not played' })])]));
    expect(xml.find('skipped')[0]?.attributes).toEqual({ message: 'not played' });
    expect(xml.find('testsuite')[0]?.attributes['skipped']).toBe('1');
  });

  test('stays well-formed and says the same, whatever the text is', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' }));
    // Only what XML forbids looks different.
    const allowed = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u;
    const property = fc.property(text, (saw) => {
      const xml = junit([report([scene({ result: 'failed', saw, details: [saw] })])]);
      const [failure] = readXml(xml).find('failure');
      return failure !== undefined && (failure.attributes['message'] === saw || !allowed.test(saw));
    });
    expect(fc.check(property).counterexample).toBeNull();
  });
});
