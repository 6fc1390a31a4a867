// `touchstone explain [RULE]`: what a rule demands, what to do when it is broken, and what a breach is evidence for.
import { Command } from 'commander';
import { TouchstoneError } from '../errors.ts';
import { RULES } from '../rules/catalogue.ts';
import type { RuleId } from '../rules/catalogue.ts';
import { outputOf, table } from './output.ts';

/** Insertions, deletions and replacements of one character between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, from] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, to] of Array.from(b).entries()) {
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (from === to ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** More are no help. */
const SHOWN = 3;

/**
 * The rules that could be meant: those that differ from what was asked by a typing error, the nearest first, then those that hold most
 * parts of it, as the catalogue has them: how far these are apart only says how long they are. None when nothing is near.
 */
export function nearestRules(asked: string): string[] {
  const word = asked.toLowerCase().slice(0, 64);
  const parts = word.split(/[^a-z0-9]+/).filter((part) => part.length > 2);
  const rules = Object.keys(RULES).map((id) => ({
    id,
    apart: distance(word, id),
    shared: parts.filter((part) => id.includes(part)).length,
  }));
  const most = Math.max(1, ...rules.map(({ shared }) => shared));
  const typo = Math.max(2, Math.floor(word.length / 4));
  return rules
    .filter(({ apart, shared }) => shared === most || apart <= typo)
    .toSorted((a, b) => Math.min(a.apart, typo + 1) - Math.min(b.apart, typo + 1))
    .slice(0, SHOWN)
    .map(({ id }) => id);
}

function isRule(text: string): text is RuleId {
  return Object.hasOwn(RULES, text);
}

function explain(asked: string | undefined, command: Command): void {
  const output = outputOf(command);
  if (asked === undefined) {
    const all = Object.entries(RULES);
    output.result({ rules: all.map(([rule, words]) => ({ rule, ...words })) }, () =>
      table(
        ['rule', 'demands'],
        all.map(([rule, { demands }]) => [rule, demands]),
      ),
    );
    return;
  }
  if (!isRule(asked)) {
    const near = nearestRules(asked);
    const meant = near.length === 0 ? 'touchstone explain lists all' : `did you mean ${near.join(', or ')}?`;
    throw new TouchstoneError('USAGE', `there is no rule ${asked.slice(0, 64)}; ${meant}`);
  }
  const { demands, now, atlas, sai } = RULES[asked];
  output.result({ rule: asked, demands, now, atlas, sai }, () =>
    [
      output.paint('bold', asked),
      `  demands:    ${demands}`,
      `  what to do: ${now}`,
      `  a breach is evidence for: ${atlas === null ? 'no technique of MITRE ATLAS' : `MITRE ATLAS ${atlas}`}`,
      `  stage of ETSI GR SAI 004: ${sai}`,
    ].join('\n'),
  );
}

/** `touchstone explain`. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('explain a rule that a finding names; without one, list all')
    .argument('[rule]', 'as findings name it')
    .addHelpText('after', '\nExamples:\n  touchstone explain release-file-changed\n  touchstone explain --json')
    .action((rule: string | undefined, _options: unknown, self: Command) => {
      explain(rule, self);
    });
}
