// The judgement whose signature is verified on another thread: the same as the other one, and bought by nobody with garbage.
import { createHook } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { appraise, appraiseInPool } from '../../src/verifier/appraise.ts';
import { askedChecks } from '../../src/verifier/checks/asked.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { contentAttacks } from './content-attacks.ts';
import { build } from './evidence-builder.ts';
import { quoteAttacks } from './quote-attacks.ts';

const attacks = [...quoteAttacks, ...contentAttacks];

/** Signatures that the pool was asked to verify meanwhile. */
async function jobsOf(input: AppraisalInput): Promise<number> {
  let jobs = 0;
  const hook = createHook({ init: (_id, type) => void (jobs += Number(type === 'SIGNREQUEST')) }).enable();
  await appraiseInPool(input);
  hook.disable();
  return jobs;
}

test('genuine evidence is judged the same, for one signature', async () => {
  const input = build();
  expect(await appraiseInPool(input)).toEqual(appraise(input));
  expect(await jobsOf(input)).toBe(1);
});

test.each(attacks)('$attack is judged the same', async ({ bend }) => {
  const input = build(bend());
  expect(await appraiseInPool(input)).toEqual(appraise(input));
});

const unasked = attacks.filter((attack) => askedChecks.some(({ name }) => name === attack.check));

test.each(unasked)('$attack costs the pool nothing', async ({ bend }) => {
  expect(await jobsOf(build(bend()))).toBe(0);
});

test('neither does what cannot be read', async () => {
  const junk = Buffer.from('ff00ff', 'hex');
  expect(await jobsOf({ ...build(), evidence: junk })).toBe(0);
  expect(await jobsOf(build({ signature: () => junk }))).toBe(0);
});

test('what is no input at all is a bug here as there', async () => {
  await expect(appraiseInPool({ ...build(), evidence: null as never })).rejects.toThrow(TypeError);
});
