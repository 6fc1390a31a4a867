// Prints figures as a table, a line each: ours, the limit, how they compare and whether the bar was reached.
import { reached } from './interleave.ts';
import type { Figure } from './interleave.ts';

const COLUMNS = ['what', 'ours', 'limit', 'ratio', 'bar'];

function number(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toPrecision(3);
}

function bar(figure: Figure): string {
  if (figure.bar === null) return 'printed';
  const word = reached(figure) === true ? 'reached' : 'MISSED ';
  if ('atLeast' in figure.bar) return `${word} (≥ ${figure.bar.atLeast})`;
  if ('atMost' in figure.bar) return `${word} (≤ ${figure.bar.atMost})`;
  return `${word} (≤ limit + ${figure.bar.atMostAbove} ${figure.unit})`;
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${number(figure.ours)} ${figure.unit}`,
    Number.isFinite(figure.limit) ? `${number(figure.limit)} ${figure.limitName}` : figure.limitName,
    Number.isFinite(figure.ratio) ? figure.ratio.toFixed(3) : '–',
    bar(figure),
  ]);
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
