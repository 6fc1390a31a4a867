// Lines of JSON values: the same as a person would count.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonLines, lineAt, lineOf } from '../../src/profile/json-lines.ts';

describe('the line of a value', () => {
  it('is that of its key, or of the element itself', () => {
    const text = '{\n  "a": 1,\n  "b": { "c": [\n    1,\n    { "d\\n\\"{": 2 }\n  ] },\n  "e": {}, "f":\n    3\n}';
    const lines = jsonLines(text);
    const of = (field: string): number => lineOf(lines, field);
    expect(of('a')).toBe(2);
    expect(of('b.c')).toBe(3);
    expect(of('b.c.0')).toBe(4);
    expect(of('b.c.1')).toBe(5);
    expect(of('b.c.1.d\n"{')).toBe(5);
    expect(of('e')).toBe(7);
    expect(of('f')).toBe(7);
  });

  it('is that of what would hold it, where it is missing', () => {
    const lines = jsonLines('{\n  "a": {\n  }\n}');
    expect(lineOf(lines, 'a.b.c')).toBe(2);
    expect(lineOf(lines, 'x')).toBe(1);
  });

  it('is found for every value of every text', () => {
    const paths = (value: unknown, path: string): string[] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([key, inner]) => {
            const here = path === '' ? key : `${path}.${key}`;
            return [here, ...paths(inner, here)];
          })
        : [];
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (json) => {
        const value: unknown = JSON.parse(json);
        const text = JSON.stringify(value, null, 1);
        const lines = jsonLines(text);
        for (const path of paths(value, '')) expect([path, lines.has(path)]).toEqual([path, true]);
        expect(Math.max(...lines.values())).toBeLessThanOrEqual(text.split('\n').length);
      }),
    );
  });

  it('of a character counts the line ends before it', () => {
    expect([lineAt('a\nb', 0), lineAt('a\nb', 1), lineAt('a\nb', 2)]).toEqual([1, 1, 2]);
  });
});
